// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/mesh_bench.h"

#include <fmt/format.h>

#include "harness/mesh_traffic.h"
#include "model_build.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kWarmUp = 2000;
constexpr uint64_t kCycles = 10000;
constexpr double kLightLoad = 0.02;

// The shared object of a mesh; cycles do not depend on the width of a flit.
fs::path BuildMesh(MeshShape shape, const ResourcePaths& resources) {
  ModelPlan plan;
  plan.label = fmt::format("a mesh of {}x{}", shape.columns, shape.rows);
  for (const char* name :
       {"common/vt_fifo.v", "common/vt_round_robin.v", "mesh/vt_credit_counter.v",
        "mesh/vt_router.v", "mesh/vt_mesh.v", "mesh/vt_mesh.vh"}) {
    plan.sources["rtl/" + fs::path(name).filename().string()] =
        ReadFile(resources.templates / name);
  }
  for (const char* name : {"mesh_shim.cpp", "mesh_traffic.h", "verilated_mesh.h"}) {
    plan.sources[std::string("harness/") + name] = ReadFile(resources.harness / name);
  }
  plan.top = "vt_mesh";
  plan.parameters = {fmt::format("Columns={}", shape.columns), fmt::format("Rows={}", shape.rows)};
  plan.harness = {"mesh_shim"};
  plan.definitions = fmt::format("-DVT_NODES={}", shape.Nodes());
  return BuildModel(plan);
}

// A mesh out of its shared object.
class LoadedMesh {
 public:
  explicit LoadedMesh(const fs::path& object) : library_(object) {
    MeshModel* (*create)();
    library_.Find(create, "vt_mesh_create");
    library_.Find(destroy_, "vt_mesh_destroy");
    mesh_ = create();
  }
  ~LoadedMesh() { destroy_(mesh_); }
  LoadedMesh(const LoadedMesh&) = delete;
  LoadedMesh& operator=(const LoadedMesh&) = delete;

  MeshModel& operator*() { return *mesh_; }

 private:
  ModelLibrary library_;
  void (*destroy_)(MeshModel*);
  MeshModel* mesh_;
};

}  // namespace

std::vector<MeshBenchRow> BenchMesh(int columns, int rows, int link_bits, uint32_t seed,
                                    const ResourcePaths& resources) {
  const MeshShape shape{columns, rows};
  LoadedMesh mesh(BuildMesh(shape, resources));
  std::vector<MeshBenchRow> result;
  for (int pattern = 0; pattern < kMeshPatterns; ++pattern) {
    MeshTraffic traffic;
    traffic.pattern = static_cast<MeshPattern>(pattern);
    traffic.warm_up = kWarmUp;
    traffic.cycles = kCycles;
    traffic.seed = seed;
    traffic.load = kLightLoad;
    const MeshFigures light = RunMeshTraffic(*mesh, shape, traffic);
    traffic.saturate = true;
    const MeshFigures full = RunMeshTraffic(*mesh, shape, traffic);

    MeshBenchRow row;
    row.name = MeshPatternName(traffic.pattern);
    row.message = light.fault.empty() ? full.fault : light.fault;
    row.passed = row.message.empty();
    row.cycles = full.cycles;
    row.latency = light.mean_latency;
    const double node_cycles = static_cast<double>(full.cycles) * shape.Nodes();
    row.flits = static_cast<double>(full.injected) / node_cycles;
    row.copies = static_cast<double>(full.delivered) / node_cycles;
    row.bytes_per_cycle = row.copies * shape.Nodes() * link_bits / 8;
    if (traffic.pattern == MeshPattern::kUniform)
      row.of_bound = row.flits / UniformMeshBound(shape);
    result.push_back(std::move(row));
  }
  return result;
}

}  // namespace vaultrain
