// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/mesh_bench.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <memory>

#include "harness/mesh_traffic.h"
#include "vaultrain/digest.h"
#include "vaultrain/error.h"
#include "vaultrain/output.h"
#include "vaultrain/process.h"
#include "vaultrain/progress.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kWarmUp = 2000;
constexpr uint64_t kCycles = 10000;
constexpr double kLightLoad = 0.02;

fs::path CacheRoot() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0')
    return cache;
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return fs::path(home) / ".cache";
  return fs::temp_directory_path();
}

void RunStep(const std::vector<std::string>& argv, const fs::path& folder) {
  const ProcessResult result = RunProcess(argv, folder);
  if (result.status == 0) return;
  throw Error(ExitStatus::kToolMissing, fmt::format("{} fails on the mesh: {}", argv[0],
                                                    result.err.substr(0, result.err.find('\n'))));
}

// The shared object of a mesh; cycles do not depend on the width of a flit.
fs::path BuildMesh(MeshShape shape, const ResourcePaths& resources) {
  FileTree sources;
  for (const char* name :
       {"common/vt_fifo.v", "common/vt_round_robin.v", "mesh/vt_credit_counter.v",
        "mesh/vt_router.v", "mesh/vt_mesh.v", "mesh/vt_mesh.vh"}) {
    sources["rtl/" + fs::path(name).filename().string()] = ReadFile(resources.templates / name);
  }
  for (const char* name : {"mesh_shim.cpp", "mesh_traffic.h", "verilated_mesh.h"})
    sources[std::string("harness/") + name] = ReadFile(resources.harness / name);
  const std::vector<std::string> verilate = {"verilator",
                                             "--cc",
                                             "-Wall",
                                             "--default-language",
                                             "1364-2005",
                                             "-O3",
                                             "--x-assign",
                                             "fast",
                                             "--noassert",
                                             "--prefix",
                                             "Vmesh",
                                             "-Mdir",
                                             "obj",
                                             "-Irtl",
                                             "-y",
                                             "rtl",
                                             fmt::format("-GColumns={}", shape.columns),
                                             fmt::format("-GRows={}", shape.rows),
                                             "rtl/vt_mesh.v"};
  const std::string make = fmt::format(
      "CCACHE := $(shell command -v ccache)\n"
      "ROOT := $(shell verilator --getenv VERILATOR_ROOT)\n"
      "mesh.so: obj/Vmesh__ALL.a\n"
      "\t$(CXX) -std=c++20 -O2 -fPIC -shared -DVT_NODES={} -I. -Iobj -I$(ROOT)/include "
      "-I$(ROOT)/include/vltstd -o $@ harness/mesh_shim.cpp -Wl,--whole-archive $< "
      "-Wl,--no-whole-archive obj/verilated.o obj/verilated_threads.o -lpthread\n"
      "obj/Vmesh__ALL.a:\n"
      "\t$(MAKE) -C obj -f Vmesh.mk Vmesh__ALL.a verilated.o verilated_threads.o "
      "CXX='$(CCACHE) $(CXX)' OPT_FAST='-O2 -fPIC' OPT_SLOW='-O1 -fPIC' OPT_GLOBAL='-O2 -fPIC'\n",
      shape.Nodes());

  std::string identity = ShellLine(verilate) + make + RunProcess({"verilator", "--version"}).out;
  for (const auto& [name, bytes] : sources) identity += name + '\0' + bytes;
  const fs::path folder =
      CacheRoot() / "vaultrain" / "models" / ToHex(Sha256(identity)).substr(0, 32);
  fs::path object = folder / "mesh.so";
  if (fs::exists(object)) return object;

  Progress progress(fmt::format("Verilating a mesh of {}x{}", shape.columns, shape.rows), 2);
  ScratchFolder scratch;
  for (const auto& [name, bytes] : sources) {
    fs::create_directories((scratch.path() / name).parent_path());
    WriteFile(scratch.path() / name, bytes);
  }
  WriteFile(scratch.path() / "Makefile", make);
  progress.Show(0, "verilator");
  RunStep(verilate, scratch.path());
  progress.Show(1, "compiler");
  RunStep({"make", "-s", "-j2", "mesh.so"}, scratch.path());
  fs::create_directories(folder);
  WriteFile(object, ReadFile(scratch.path() / "mesh.so"));
  return object;
}

// A mesh out of its shared object.
class LoadedMesh {
 public:
  explicit LoadedMesh(const fs::path& object) : handle_(dlopen(object.c_str(), RTLD_NOW)) {
    if (handle_ == nullptr)
      throw Error(ExitStatus::kInternal, fmt::format("{}: {}", object.string(), dlerror()));
    auto create = reinterpret_cast<MeshModel* (*)()>(dlsym(handle_, "vt_mesh_create"));
    destroy_ = reinterpret_cast<void (*)(MeshModel*)>(dlsym(handle_, "vt_mesh_destroy"));
    if (create == nullptr || destroy_ == nullptr)
      throw Error(ExitStatus::kInternal, fmt::format("{}: is no mesh", object.string()));
    mesh_ = create();
  }
  ~LoadedMesh() {
    destroy_(mesh_);
    dlclose(handle_);
  }
  LoadedMesh(const LoadedMesh&) = delete;
  LoadedMesh& operator=(const LoadedMesh&) = delete;

  MeshModel& operator*() { return *mesh_; }

 private:
  void* handle_;
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
