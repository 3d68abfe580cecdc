// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <cstdlib>

#include "harness/device_abi.h"
#include "vaultrain/device.h"
#include "vaultrain/error.h"
#include "vaultrain/generate.h"
#include "vaultrain/output.h"
#include "vaultrain/process.h"
#include "vaultrain/progress.h"
#include "vaultrain/registers.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

// Cycles without progress that end a program.
constexpr uint32_t kWatchdog = 100000;

fs::path CacheRoot() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0')
    return cache;
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return fs::path(home) / ".cache";
  return fs::temp_directory_path();
}

std::string FirstErrorLine(const ProcessResult& result) {
  const std::string& text = result.err.empty() ? result.out : result.err;
  size_t at = text.find("rror");
  at = at == std::string::npos ? 0 : text.rfind('\n', at) + 1;
  return text.substr(at, text.find('\n', at) - at);
}

// Files that the shared object is built from, by name in one folder.
FileTree ModelSources(const Variant& variant, const ResourcePaths& resources) {
  FileTree sources = GenerateRtl(variant, resources);
  sources.merge(HarnessSources(resources));
  return sources;
}

// Returns the shared object of a variant.
fs::path BuildModel(const Variant& variant, const ResourcePaths& resources, bool trace) {
  const FileTree sources = ModelSources(variant, resources);
  ProcessResult version;
  try {
    version = RunProcess({"verilator", "--version"});
  } catch (const Error&) {
    ReportTool(
        "verilator is not in PATH; the RTL engine needs Verilator 5 (Debian package verilator)");
  }
  if (version.status != 0) ReportTool("verilator --version fails: {}", FirstErrorLine(version));

  std::vector<std::string> verilate = {"verilator",
                                       "--cc",
                                       "-Wall",
                                       "--default-language",
                                       "1364-2005",
                                       "-O3",
                                       "--x-assign",
                                       "fast",
                                       "--x-initial",
                                       "fast",
                                       "--noassert",
                                       "--prefix",
                                       "Vmodule",
                                       "--top-module",
                                       std::string(kTopModule),
                                       "-Mdir",
                                       "obj",
                                       "-Irtl",
                                       "-y",
                                       "rtl"};
  if (trace) verilate.insert(verilate.end(), {"--trace-fst", "--trace-structs"});
  verilate.push_back("rtl/" + std::string(kTopModule) + ".v");
  // One makefile of Verilator builds the module and its runtime; ours adds the shim and the dies.
  const std::string flags =
      fmt::format("-std=c++20 -O2 -fPIC -march=native -I. -Iobj{}", trace ? " -DVT_TRACE" : "");
  const std::string make = fmt::format(
      "CCACHE := $(shell command -v ccache)\n"
      "ROOT := $(shell verilator --getenv VERILATOR_ROOT)\n"
      "device.so: harness/device_shim.o harness/dram_die.o obj/Vmodule__ALL.a obj/verilated.o "
      "obj/verilated_threads.o{0}\n"
      "\t$(CXX) -shared -o $@ harness/device_shim.o harness/dram_die.o -Wl,--whole-archive "
      "obj/Vmodule__ALL.a -Wl,--no-whole-archive "
      "obj/verilated.o obj/verilated_threads.o{0} -lpthread{1}\n"
      "%.o: %.cpp\n"
      "\t$(CCACHE) $(CXX) {2} -I$(ROOT)/include -I$(ROOT)/include/vltstd -c -o $@ $<\n"
      "obj/Vmodule__ALL.a:\n"
      "\t$(MAKE) -C obj -f Vmodule.mk Vmodule__ALL.a verilated.o verilated_threads.o{3} "
      "CXX='$(CCACHE) $(CXX)' "
      "OPT_FAST='-O3 -fPIC -march=native' OPT_SLOW='-O1 -fPIC' OPT_GLOBAL='-O2 -fPIC "
      "-march=native'\n"
      "obj/verilated.o obj/verilated_threads.o{0}: obj/Vmodule__ALL.a\n",
      trace ? " obj/verilated_fst_c.o" : "", trace ? " -lz" : "", flags,
      trace ? " verilated_fst_c.o" : "");

  std::string identity = version.out + ShellLine(verilate) + make;
  // -march=native binds the object to this processor.
  try {
    std::string cpu = ReadFile("/proc/cpuinfo");
    const size_t begin = cpu.find("flags");
    identity += cpu.substr(begin, cpu.find('\n', begin) - begin);
  } catch (const Error&) {
  }
  for (const auto& [name, bytes] : sources) identity += name + '\0' + bytes;
  const fs::path folder =
      CacheRoot() / "vaultrain" / "models" / ToHex(Sha256(identity)).substr(0, 32);
  fs::path object = folder / "device.so";
  if (fs::exists(object)) return object;

  Progress progress(fmt::format("Verilating {}", variant.name), 2);
  ScratchFolder scratch;
  for (const auto& [name, bytes] : sources) {
    fs::create_directories((scratch.path() / name).parent_path());
    WriteFile(scratch.path() / name, bytes);
  }
  WriteFile(scratch.path() / "Makefile", make);
  progress.Show(0, "verilator");
  if (ProcessResult r = RunProcess(verilate, scratch.path()); r.status != 0) {
    ReportTool("verilator fails on variant {}: {}", variant.name, FirstErrorLine(r));
  }
  progress.Show(1, "compiler");
  if (ProcessResult r = RunProcess({"make", "-s", "-j2", "device.so"}, scratch.path());
      r.status != 0) {
    ReportTool("the C++ compiler fails on the model of variant {}: {}", variant.name,
               FirstErrorLine(r));
  }
  fs::create_directories(folder);
  // WriteFile renames, so that another process sees the whole object or none.
  WriteFile(object, ReadFile(scratch.path() / "device.so"));
  return object;
}

struct Library {
  explicit Library(const fs::path& path) : handle(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle == nullptr)
      throw Error(ExitStatus::kInternal, fmt::format("{}: {}", path.string(), dlerror()));
  }
  ~Library() { dlclose(handle); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  template <typename Function>
  void Find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(handle, name));
    if (function == nullptr)
      throw Error(ExitStatus::kInternal, fmt::format("the model lacks {}", name));
  }
  void* handle;
};

// A register by its name, which the compiler looks up.
struct Offset {
  template <size_t N>
  consteval Offset(const char (&name)[N]) : value(RegisterOffset(name)) {}
  constexpr Offset(uint32_t offset) : value(offset) {}
  uint32_t value;
};

class RtlDevice : public Device {
 public:
  RtlDevice(const fs::path& object, const VaultDram& dram, const RtlOptions& options)
      : library_(object), dram_(dram), options_(options) {
    library_.Find(create_, "vt_device_create");
    library_.Find(destroy_, "vt_device_destroy");
    library_.Find(error_, "vt_device_error");
    library_.Find(write_register_, "vt_device_write_register");
    library_.Find(read_register_, "vt_device_read_register");
    library_.Find(write_, "vt_device_write");
    library_.Find(write_dies_, "vt_device_write_dies");
    library_.Find(read_dies_, "vt_device_read_dies");
    library_.Find(run_, "vt_device_run");
    library_.Find(trace_, "vt_device_trace");
    device_ = create_(&dram_.timing, &dram_.geometry, 0);
    if (!options_.trace.empty()) Check(trace_(device_, options_.trace.c_str()), "trace");
    const uint64_t bytes = dram_.geometry.Bytes();
    SetRegister("WINDOW_SIZE_LO", static_cast<uint32_t>(bytes));
    SetRegister("WINDOW_SIZE_HI", static_cast<uint32_t>(bytes >> 32));
    SetRegister("WATCHDOG", kWatchdog);
    SetRegister("IRQ_ENABLE", 3);
  }
  ~RtlDevice() override { destroy_(device_); }

  void Load(std::span<const ProgramSegment> image) override {
    for (const ProgramSegment& segment : image) {
      Check(write_dies_(device_, segment.address, segment.bytes.data(), segment.bytes.size()),
            "load");
    }
  }
  void Write(uint64_t address, std::span<const uint8_t> bytes) override {
    Check(write_(device_, address, bytes.data(), bytes.size()), "write");
  }
  void Read(uint64_t address, std::span<uint8_t> bytes) override {
    Check(read_dies_(device_, address, bytes.data(), bytes.size()), "read");
  }
  void SetScalar(int index, float value) override {
    SetRegister(RegisterOffset("SCALAR0") + 4 * static_cast<uint32_t>(index),
                std::bit_cast<uint32_t>(value));
  }

  RunReport Run(const ProgramStream& stream) override {
    const NodeProgram& node = stream.nodes.at(0);
    SetRegister("PROG_ADDR_LO", static_cast<uint32_t>(node.address));
    SetRegister("PROG_ADDR_HI", static_cast<uint32_t>(node.address >> 32));
    SetRegister("PROG_COUNT", static_cast<uint32_t>(node.descriptors.size()));
    SetRegister("IRQ_STATUS", 3);
    SetRegister("CTRL", 1);
    Check(run_(device_, options_.max_cycles, options_.disturb, options_.seed), "run");
    RunReport report;
    const uint32_t status = Register("STATUS");
    if (RegisterFieldOf("STATUS", "ERROR").Get(status) != 0) {
      report.error =
          static_cast<isa::ErrorCode>(RegisterFieldOf("STATUS", "ERROR_CODE").Get(status));
      report.error_index = Register("ERROR_INFO");
    }
    RunCounters& c = report.counters;
    c.cycles = Counter("CYCLES_LO");
    c.mac_cycles = Counter("MAC_CYCLES_LO");
    c.dram_reads = Counter("DRAM_READS_LO");
    c.dram_writes = Counter("DRAM_WRITES_LO");
    c.dram_activates = Counter("DRAM_ACTIVATES_LO");
    c.dram_refreshes = Counter("DRAM_REFRESHES_LO");
    c.row_misses = Counter("ROW_MISSES_LO");
    c.stall_a = Counter("STALL_A_LO");
    c.stall_b = Counter("STALL_B_LO");
    c.stall_drain = Counter("STALL_DRAIN_LO");
    c.stall_load = Counter("STALL_LOAD_LO");
    c.stall_store = Counter("STALL_STORE_LO");
    for (uint32_t tag = 0; tag < report.job_cycles.size(); ++tag) {
      SetRegister("JOB_INDEX", tag);
      report.job_cycles[tag] = Register("JOB_CYCLE");
    }
    return report;
  }

 private:
  void Check(int failed, const char* what) {
    if (failed != 0)
      throw Error(ExitStatus::kInternal, fmt::format("RTL model, {}: {}", what, error_(device_)));
  }
  void SetRegister(Offset offset, uint32_t value) {
    Check(write_register_(device_, offset.value, value), "register write");
  }
  uint32_t Register(Offset offset) {
    uint32_t value = 0;
    Check(read_register_(device_, offset.value, &value), "register read");
    return value;
  }
  // Reading the low word latches the high one behind it.
  uint64_t Counter(Offset low) {
    const uint64_t value = Register(low);
    return value | uint64_t{Register(Offset(low.value + 4))} << 32;
  }

  Library library_;
  VaultDram dram_;
  RtlOptions options_;
  VtDevice* device_ = nullptr;
  decltype(&vt_device_create) create_;
  decltype(&vt_device_destroy) destroy_;
  decltype(&vt_device_error) error_;
  decltype(&vt_device_write_register) write_register_;
  decltype(&vt_device_read_register) read_register_;
  decltype(&vt_device_write) write_;
  decltype(&vt_device_write_dies) write_dies_;
  decltype(&vt_device_read_dies) read_dies_;
  decltype(&vt_device_run) run_;
  decltype(&vt_device_trace) trace_;
};

}  // namespace

std::unique_ptr<Device> MakeRtlDevice(const Variant& variant, const VaultDram& dram,
                                      const ResourcePaths& resources, const RtlOptions& options) {
  const fs::path object = BuildModel(variant, resources, !options.trace.empty());
  return std::make_unique<RtlDevice>(object, dram, options);
}

}  // namespace vaultrain
