// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/generate.h"

#include <fmt/format.h>

#include <map>

#include "rtl/memory_module.h"
#include "rtl/templates.h"
#include "rtl/verilog_writer.h"
#include "vaultrain/error.h"
#include "vaultrain/isa.h"
#include "vaultrain/lane_program.h"
#include "vaultrain/registers.h"
#include "vaultrain/vault_dram.h"
#include "vaultrain/vault_pins.h"
#include "vaultrain/version.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

bool IsHeader(const std::string& path) { return path.ends_with(".vh"); }

// Sources in an order that every tool takes: headers are found by folder and need no order.
std::string FileList(const Variant& variant, const FileTree& rtl) {
  std::string text = GeneratedHeader(variant, "//");
  text += "+incdir+rtl\n";
  for (const auto& [path, bytes] : rtl) {
    if (!IsHeader(path)) text += path + "\n";
  }
  return text;
}

// FuseSoC core description; CAPI=2 has to be its first line.
std::string FusesocCore(const Variant& variant, const FileTree& rtl) {
  std::string text = "CAPI=2:\n" + GeneratedHeader(variant, "#");
  text += fmt::format("name: vaultrain:module:{}:{}\n", variant.name, ToolVersion());
  text += "description: Intelligent memory module that trains neural networks\n\n";
  text += "filesets:\n  rtl:\n    files:\n";
  for (const auto& [path, bytes] : rtl) {
    text += IsHeader(path) ? fmt::format("      - {}: {{is_include_file: true}}\n", path)
                           : fmt::format("      - {}\n", path);
  }
  text += "    file_type: verilogSource-2005\n\n";
  text += "targets:\n  default: &default\n    filesets: [rtl]\n";
  text += fmt::format("    toplevel: {}\n", kTopModule);
  text += fmt::format(
      "  lint:\n    <<: *default\n    flow: lint\n    flow_options:\n      tool: verilator\n"
      "      verilator_options: [-Wall, --default-language, 1364-2005]\n");
  return text;
}

std::string PortDocument(const Variant& variant, const rtl::Component& top) {
  std::string text = GeneratedHeader(variant, "<!--");
  text += fmt::format("\n# Ports of {}\n", top.name);
  for (const rtl::PortGroup& group : top.ports) {
    text += fmt::format("\n{}\n\n| port | direction | bits | meaning |\n|---|---|---|---|\n",
                        group.comment.empty() ? "Clock and reset." : group.comment);
    for (const rtl::Port& port : group.ports) {
      text += fmt::format("| `{}` | {} | {} | {} |\n", port.name,
                          port.direction == rtl::Direction::kInput ? "in" : "out", port.bits.number,
                          port.comment);
    }
  }
  return text;
}

// What stands ready under `folder` goes to `target` with its placeholders filled; a folder that is
// not shipped adds nothing.
void AddFolder(const fs::path& folder, const std::string& target,
               const std::map<std::string, std::string>& placeholders, FileTree& tree) {
  std::error_code fault;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(
           folder, fs::directory_options::follow_directory_symlink, fault)) {
    if (!entry.is_regular_file()) continue;
    std::string text = ReadFile(entry.path());
    for (const auto& [name, value] : placeholders) {
      for (size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += value.size()) {
        text.replace(at, name.size(), value);
      }
    }
    tree[target + entry.path().lexically_relative(folder).generic_string()] = std::move(text);
  }
}

// The vaults' pins by number, for C++.
std::string VaultPortsHeader(const Variant& variant) {
  std::string text = GeneratedHeader(variant, "//");
  text +=
      "//\n"
      "// The vaults' pins of the Verilated module by number.\n\n"
      "#ifndef VAULTRAIN_HARNESS_VAULT_PORTS_H_\n#define VAULTRAIN_HARNESS_VAULT_PORTS_H_\n\n"
      "namespace vaultrain {\n\n";
  text += fmt::format("inline constexpr int kVaults = {};\n\n", variant.vaults);
  text += "// visit(vault, pins...) for every vault, the pins in this order:\n";
  for (const VaultPin& pin : kVaultPins) text += fmt::format("// {}: {}\n", pin.name, pin.meaning);
  text += "template <typename Module, typename Visit>\n";
  text += "void ForEachVault(Module& module, Visit&& visit) {\n";
  for (int n = 0; n < variant.vaults; ++n) {
    text += fmt::format("  visit({}", n);
    for (const VaultPin& pin : kVaultPins) {
      text += fmt::format(",\n        module.{}", VaultPortName(pin, n));
    }
    text += ");\n";
  }
  text += "}\n\n}  // namespace vaultrain\n\n#endif  // VAULTRAIN_HARNESS_VAULT_PORTS_H_\n";
  return text;
}

// synth/: script and constraints, and the black box that takes the place of the memories.
void AddSynthesis(const Variant& variant, const ResourcePaths& resources, FileTree& tree) {
  std::string header = GeneratedHeader(variant, "#");
  header.pop_back();
  std::string files;
  for (const auto& [path, bytes] : tree) {
    bool is_memory = path == "rtl/vt_sram.v";
    if (path.starts_with("rtl/") && !IsHeader(path) && !is_memory) {
      files += (files.empty() ? "" : " ") + path;
    }
  }
  AddFolder(resources.synth / "standalone", "synth/",
            {{"@HEADER@", header},
             {"@FILES@", files},
             {"@TOP@", std::string(kTopModule)},
             {"@CLOCK_NS@", fmt::format("{}", variant.clock_ps / 1000.0)}},
            tree);
  tree["synth/vt_sram.v"] = ReadFile(resources.synth / "yosys/vt_sram.v");
}

}  // namespace

std::string GeneratedHeader(const Variant& variant, std::string_view comment) {
  std::string_view close = comment == "<!--" ? " -->" : "";
  std::string text;
  text += fmt::format("{} Generated by vaultrain {}, variant {}.{}\n", comment, ToolVersion(),
                      variant.name, close);
  text += fmt::format("{} Made again by: vaultrain generate resolved.toml --out DIR{}\n", comment,
                      close);
  text += fmt::format("{} Digest of the variant: {}{}\n", comment, ToHex(VariantDigest(variant)),
                      close);
  return text;
}

FileTree GenerateRtl(const Variant& variant, const ResourcePaths& resources) {
  rtl::Component module = rtl::MemoryModule(variant, LoadVaultDram(variant, resources));
  std::string top = rtl::WriteVerilog(module, GeneratedHeader(variant, "//"));
  FileTree tree;
  for (auto& [name, text] : rtl::TemplateClosure(top, resources.templates)) {
    tree["rtl/" + name] = std::move(text);
  }
  tree[fmt::format("rtl/{}.v", kTopModule)] = std::move(top);
  return tree;
}

FileTree VaultRtl(const ResourcePaths& resources) {
  FileTree tree;
  const std::string user = fmt::format("{} u_vault ();", kVaultModule);
  for (auto& [name, text] : rtl::TemplateClosure(user, resources.templates)) {
    tree["rtl/" + name] = std::move(text);
  }
  return tree;
}

FileTree HarnessSources(const ResourcePaths& resources) {
  FileTree sources;
  for (const char* name :
       {"device_abi.h", "device_shim.cpp", "axi_driver.h", "dram_die.h", "dram_die.cpp", "ecc.h"}) {
    sources[std::string("harness/") + name] = ReadFile(resources.harness / name);
  }
  sources["vaultrain/dram_timing.h"] = ReadFile(resources.include / "vaultrain/dram_timing.h");
  return sources;
}

FileTree HarnessSources(const Variant& variant, const ResourcePaths& resources) {
  FileTree sources = HarnessSources(resources);
  sources["harness/vault_ports.h"] = VaultPortsHeader(variant);
  return sources;
}

FileTree GenerateTree(const Variant& variant, const ResourcePaths& resources) {
  FileTree tree = GenerateRtl(variant, resources);
  std::string list = FileList(variant, tree);
  std::string core = FusesocCore(variant, tree);
  tree["rtl.f"] = std::move(list);
  tree[fmt::format("vaultrain_{}.core", variant.name)] = std::move(core);
  tree["resolved.toml"] = GeneratedHeader(variant, "#") + "\n" + ResolvedToml(variant);
  tree["doc/ports.md"] =
      PortDocument(variant, rtl::MemoryModule(variant, LoadVaultDram(variant, resources)));
  tree["doc/registers.md"] = GeneratedHeader(variant, "<!--") + "\n" + RegistersMarkdown();
  tree["doc/descriptors.md"] = GeneratedHeader(variant, "<!--") + "\n" + isa::Markdown();
  tree["doc/lane_instructions.md"] = GeneratedHeader(variant, "<!--") + "\n" + lanes::Markdown();
  AddSynthesis(variant, resources, tree);
  std::string header = GeneratedHeader(variant, "#");
  header.pop_back();
  AddFolder(resources.harness / "standalone", "sim/",
            {{"@HEADER@", header},
             {"@TOP@", std::string(kTopModule)},
             {"@VAULTS@", fmt::format("{}", variant.vaults)}},
            tree);
  for (auto& [name, text] : HarnessSources(variant, resources))
    tree["sim/" + name] = std::move(text);
  return tree;
}

}  // namespace vaultrain
