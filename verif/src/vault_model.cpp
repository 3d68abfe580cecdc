// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

#include <bit>

#include "model_build.h"
#include "vaultrain/error.h"
#include "vaultrain/generate.h"
#include "vaultrain/vault_traffic.h"

namespace vaultrain {
namespace {

// Far beyond the slowest access.
constexpr uint64_t kCyclesPerAccess = 1000;

int IndexBits(int items) { return std::bit_width(static_cast<unsigned>(items)) - 1; }

class VerilatedVault : public VaultModel {
 public:
  VerilatedVault(const std::filesystem::path& object, const DramTiming& timing,
                 const DramGeometry& geometry)
      : library_(object), timing_(timing), geometry_(geometry) {
    library_.Find(create_, "vt_vault_create");
    library_.Find(destroy_, "vt_vault_destroy");
    library_.Find(run_, "vt_vault_run");
  }

  VaultReport Run(const VaultTraffic& traffic) override {
    const std::unique_ptr<VtVault, decltype(destroy_)> vault(create_(&timing_, &geometry_, 1),
                                                             destroy_);
    VaultReport report;
    const std::string wrong =
        run_(vault.get(), traffic.reads.data(), traffic.reads.size(), traffic.writes.data(),
             traffic.writes.size(), kCyclesPerAccess * (traffic.Accesses() + 1), &report);
    if (!wrong.empty())
      throw Error(ExitStatus::kInternal, fmt::format("model of the vault controller: {}", wrong));
    return report;
  }

 private:
  ModelLibrary library_;
  DramTiming timing_;
  DramGeometry geometry_;
  decltype(&vt_vault_create) create_;
  decltype(&vt_vault_destroy) destroy_;
  decltype(&vt_vault_run) run_;
};

}  // namespace

std::unique_ptr<VaultModel> MakeVaultModel(
    const DramTiming& t, const DramGeometry& g,
    const std::vector<std::pair<std::string, int>>& parameters, const ResourcePaths& resources) {
  std::vector<std::pair<std::string, int>> all = {
      {"DataBits", g.data_bits},
      {"Beats", g.beats},
      {"Banks", g.banks},
      {"RowBits", IndexBits(g.rows)},
      {"ColBits", IndexBits(g.Columns())},
      {"BankRotate", g.bank_rotate},
      {"BankLow", g.bank_low},
      {"Ecc", g.ecc},
      {"tRCD", t.tRCD},
      {"tRP", t.tRP},
      {"tCL", t.tCL},
      {"tCWL", t.tCWL},
      {"tRAS", t.tRAS},
      {"tRRD", t.tRRD},
      {"tFAW", t.tFAW},
      {"tCCD", t.tCCD},
      {"tWTR", t.tWTR},
      {"tWR", t.tWR},
      {"tRTP", t.tRTP},
      {"tRFC", t.tRFC},
      {"tREFI", t.tREFI},
  };
  all.insert(all.end(), parameters.begin(), parameters.end());
  ModelPlan plan;
  plan.label = "the vault controller";
  plan.top = std::string(kVaultModule);
  plan.harness = {"vault_shim", "dram_die"};
  for (const auto& [name, value] : all)
    plan.parameters.push_back(fmt::format("{}={}", name, value));
  plan.sources = VaultRtl(resources);
  plan.sources.merge(HarnessSources(resources));
  for (const char* name : {"vault_abi.h", "vault_bench.h", "vault_shim.cpp"}) {
    plan.sources[std::string("harness/") + name] = ReadFile(resources.harness / name);
  }
  return std::make_unique<VerilatedVault>(BuildModel(plan), t, g);
}

}  // namespace vaultrain
