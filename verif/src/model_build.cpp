// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "model_build.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>

#include "vaultrain/digest.h"
#include "vaultrain/error.h"
#include "vaultrain/process.h"
#include "vaultrain/progress.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

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

}  // namespace

fs::path BuildModel(const ModelPlan& plan) {
  const bool trace = plan.trace;
  ProcessResult version;
  try {
    version = RunProcess({"verilator", "--version"});
  } catch (const Error&) {
    ReportTool(
        "verilator is not in PATH; the RTL engine needs Verilator 5 (Debian package verilator)");
  }
  if (version.status != 0) ReportTool("verilator --version fails: {}", FirstErrorLine(version));

  std::vector<std::string> verilate = {"verilator",   "--cc",       "+1364-2005ext+v",
                                       "-O3",         "--x-assign", "fast",
                                       "--x-initial", "fast",       "--noassert",
                                       "--prefix",    "Vmodule",    "--top-module",
                                       plan.top,      "-Mdir",      "obj",
                                       "-Irtl",       "-y",         "rtl"};
  if (trace) verilate.insert(verilate.end(), {"--trace-fst", "--trace-structs"});
  for (const std::string& parameter : plan.parameters) verilate.push_back("-G" + parameter);
  FileTree sources = plan.sources;
  const bool hierarchical = !plan.block.empty();
  if (hierarchical) {
    verilate.insert(verilate.end(), {"--hierarchical", "hierarchy.vlt"});
    sources["hierarchy.vlt"] =
        fmt::format("`verilator_config\nhier_block -module \"{}\"\n", plan.block);
  } else {
    verilate.push_back("-Wall");
  }
  if (!plan.probes.empty()) {
    std::string& config = sources["probes.vlt"];
    config = "`verilator_config\n";
    for (const auto& [module, names] : plan.probes) {
      for (const std::string& name : names) {
        config += fmt::format("public_flat_rd -module \"{}\" -var \"{}\"\n", module, name);
      }
    }
    verilate.push_back("probes.vlt");
  }
  verilate.push_back("rtl/" + plan.top + ".v");
  // The makefiles of Verilator build the module and its runtime; ours adds the harness.
  const std::string flags = fmt::format("-std=c++20 -O2 -fPIC -march=native -I. -Iobj{} {}",
                                        trace ? " -DVT_TRACE" : "", plan.definitions);
  const std::string runtime =
      fmt::format("verilated.o verilated_threads.o{}{}", hierarchical ? " verilated_dpi.o" : "",
                  trace ? " verilated_fst_c.o" : "");
  std::string harness;
  for (const std::string& name : plan.harness) harness += fmt::format(" harness/{}.o", name);
  const std::string make = fmt::format(
      "CCACHE := $(shell command -v ccache)\n"
      "ROOT := $(shell verilator --getenv VERILATOR_ROOT)\n"
      "OPTIONS := CXX='$(CCACHE) $(CXX)' OPT_FAST='-O3 -fPIC -march=native' OPT_SLOW='-O1 -fPIC' "
      "OPT_GLOBAL='-O2 -fPIC -march=native'\n"
      "device.so:{4} obj/module\n"
      "\t$(CXX) -shared -o $@{4} obj/Vmodule*.o "
      "$$(ls obj/*/*.o 2>/dev/null) $(addprefix obj/,{0}) -lpthread{1}\n"
      "%.o: %.cpp | obj/module\n"
      "\t$(CCACHE) $(CXX) {2} -I$(ROOT)/include -I$(ROOT)/include/vltstd -c -o $@ $<\n"
      "obj/module:\n"
      "\t$(MAKE) -C obj -f {3} $(OPTIONS)\n"
      "\t$(MAKE) -C obj -f Vmodule.mk {0} $(OPTIONS)\n"
      "\ttouch $@\n",
      runtime, trace ? " -lz" : "", flags,
      hierarchical ? "Vmodule_hier.mk hier_build" : "Vmodule.mk Vmodule__ALL.a", harness);

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

  Progress progress(fmt::format("Verilating {}", plan.label), 2);
  ScratchFolder scratch;
  for (const auto& [name, bytes] : sources) {
    fs::create_directories((scratch.path() / name).parent_path());
    WriteFile(scratch.path() / name, bytes);
  }
  WriteFile(scratch.path() / "Makefile", make);
  progress.Show(0, "verilator");
  if (ProcessResult r = RunProcess(verilate, scratch.path()); r.status != 0) {
    ReportTool("verilator fails on {}: {}", plan.label, FirstErrorLine(r));
  }
  progress.Show(1, "compiler");
  if (ProcessResult r = RunProcess({"make", "-s", "-j2", "device.so"}, scratch.path());
      r.status != 0) {
    ReportTool("the C++ compiler fails on the model of {}: {}", plan.label, FirstErrorLine(r));
  }
  fs::create_directories(folder);
  // WriteFile renames, so that another process sees the whole object or none.
  WriteFile(object, ReadFile(scratch.path() / "device.so"));
  return object;
}

ModelLibrary::ModelLibrary(const fs::path& path)
    : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr)
    throw Error(ExitStatus::kInternal, fmt::format("{}: {}", path.string(), dlerror()));
}

ModelLibrary::~ModelLibrary() { dlclose(handle_); }

void* ModelLibrary::Symbol(const char* name) const {
  void* symbol = dlsym(handle_, name);
  if (symbol == nullptr)
    throw Error(ExitStatus::kInternal, fmt::format("the model lacks {}", name));
  return symbol;
}

}  // namespace vaultrain
