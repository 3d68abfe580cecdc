// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "rtlil.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

namespace vaultrain {
namespace {

// "\name", "$paramod\name\P=..." and "$paramod$digest\name" -> name.
std::string BaseName(std::string_view id) {
  if (id.starts_with("$paramod")) {
    size_t start = id.find('\\');
    if (start == std::string_view::npos) return std::string(id);
    std::string_view rest = id.substr(start + 1);
    return std::string(rest.substr(0, rest.find('\\')));
  }
  return std::string(id.substr(id.starts_with("\\") ? 1 : 0));
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  size_t at = 0;
  while ((at = line.find_first_not_of(' ', at)) != std::string_view::npos) {
    size_t end = std::min(line.find(' ', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

// "64" and "32'0000...": RTLIL writes both.
int Constant(std::string_view text) {
  size_t tick = text.find('\'');
  if (tick == std::string_view::npos) return std::atoi(std::string(text).c_str());
  return static_cast<int>(std::strtoul(std::string(text.substr(tick + 1)).c_str(), nullptr, 2));
}

int CeilLog2(int value) {
  int bits = 0;
  while ((1 << bits) < value) ++bits;
  return bits;
}

std::string SramBox(const SramShape& shape) {
  std::string text = fmt::format("attribute \\blackbox 1\nmodule \\{}\n", shape.Module());
  int index = 0;
  auto port = [&](std::string_view name, int width, bool input) {
    text += fmt::format("  wire width {} {} {} \\{}\n", width, input ? "input" : "output", ++index,
                        name);
  };
  port("clk_i", 1, true);
  port("ren_i", 1, true);
  port("raddr_i", shape.addr_bits, true);
  port("rdata_o", shape.width, false);
  port("wen_i", shape.width / shape.granule, true);
  port("waddr_i", shape.addr_bits, true);
  port("wdata_i", shape.width, true);
  return text + "end\n";
}

// Walks lines without copying them.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}
  bool Next(std::string_view& line) {
    if (at_ >= text_.size()) return false;
    size_t end = std::min(text_.find('\n', at_), text_.size());
    line = text_.substr(at_, end - at_);
    at_ = end + 1;
    return true;
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::string SramShape::Module() const {
  return fmt::format("vt_sram_{}x{}_g{}_{}", depth, width, granule, single_port ? "1rw" : "1r1w");
}

Rtlil Rtlil::Parse(std::string_view text, std::string_view top) {
  Rtlil design;
  std::map<std::string, std::string, std::less<>> names;
  {
    std::map<std::string, int> uses;
    std::string_view line;
    for (Lines lines(text); lines.Next(line);) {
      if (!line.starts_with("module ")) continue;
      std::string id(line.substr(7));
      std::string base = BaseName(id);
      int use = ++uses[base];
      names[id] = use == 1 ? base : fmt::format("{}_{}", base, use);
      if (base == top) design.top_ = names[id];
    }
  }
  RtlilModule* module = nullptr;
  std::string_view line;
  Lines lines(text);
  while (lines.Next(line)) {
    if (line.starts_with("module ")) {
      std::string_view id = line.substr(7);
      module = &design.modules_[names.find(id)->second];
      module->base = BaseName(id);
      continue;
    }
    if (line == "end") {
      module = nullptr;
      continue;
    }
    if (!module) continue;
    if (line.starts_with("  wire ") &&
        (line.find(" input ") != line.npos || line.find(" output ") != line.npos ||
         line.find(" inout ") != line.npos)) {
      module->ports += std::string(line) + "\n";
    }
    if (line.starts_with("  memory ")) module->arrays.emplace(Words(line).back().substr(1));
    // An array of few elements is read as wires, "data_q[3]".
    if (line.starts_with("  wire ") && line.ends_with("]")) {
      const std::string_view name = Words(line).back();
      if (name.starts_with("\\")) module->arrays.emplace(name.substr(1, name.rfind('[') - 1));
    }
    if (line.starts_with("  cell ")) {
      auto words = Words(line);
      if (words.size() == 3 && words[1] == "\\vt_sram") {
        SramShape shape;
        bool addr_given = false;
        std::string connections;
        std::string name(words[2]);
        while (lines.Next(line) && line != "  end") {
          auto parts = Words(line);
          if (parts.empty() || parts[0] != "parameter") {
            connections += std::string(line) + "\n";
            continue;
          }
          std::string_view key = parts[parts.size() - 2];
          int value = Constant(parts.back());
          if (key == "\\Depth") shape.depth = value;
          if (key == "\\Width") shape.width = value;
          if (key == "\\Granule") shape.granule = value;
          if (key == "\\SinglePort") shape.single_port = value != 0;
          if (key == "\\AddrBits") {
            shape.addr_bits = value;
            addr_given = true;
          }
        }
        if (!addr_given) shape.addr_bits = CeilLog2(shape.depth);
        ++module->memories[shape];
        module->body += fmt::format("  cell \\{} {}\n{}  end\n", shape.Module(), name, connections);
        continue;
      }
      if (words.size() == 3) {
        if (auto found = names.find(words[1]); found != names.end()) {
          ++module->children[found->second];
          module->instances.emplace_back(words[2].substr(1), found->second);
          module->body += fmt::format("  cell \\{} {}\n", found->second, words[2]);
          continue;
        }
      }
    }
    module->body += std::string(line) + "\n";
  }
  return design;
}

std::string Rtlil::Cut(const std::string& module, const std::set<std::string>& boxes) const {
  std::string text;
  std::set<std::string> seen;
  std::set<SramShape> memories;
  std::function<void(const std::string&, bool)> visit = [&](const std::string& name, bool open) {
    if (!seen.insert(name).second) return;
    const RtlilModule& part = modules_.at(name);
    if (!open) {
      text += fmt::format("attribute \\blackbox 1\nmodule \\{}\n{}end\n", name, part.ports);
      return;
    }
    text += fmt::format("module \\{}\n{}end\n", name, part.body);
    for (const auto& [shape, count] : part.memories) memories.insert(shape);
    for (const auto& [child, count] : part.children) visit(child, boxes.count(child) == 0);
  };
  visit(module, true);
  for (const SramShape& shape : memories) text += SramBox(shape);
  return text;
}

std::map<SramShape, long> Rtlil::Memories(const std::string& module,
                                          const std::set<std::string>& boxes) const {
  const RtlilModule& part = modules_.at(module);
  std::map<SramShape, long> total = part.memories;
  for (const auto& [child, count] : part.children) {
    if (boxes.count(child)) continue;
    for (const auto& [shape, inner] : Memories(child, boxes)) total[shape] += count * inner;
  }
  return total;
}

std::vector<std::string> Rtlil::PathsOf(const std::string& module) const {
  std::vector<std::string> paths;
  std::function<void(const std::string&, const std::string&)> visit = [&](const std::string& at,
                                                                          const std::string& path) {
    if (at == module) paths.push_back(path);
    for (const auto& [name, child] : modules_.at(at).instances) visit(child, path + "." + name);
  };
  visit(top_, top_);
  return paths;
}

RtlilBit Rtlil::Find(const std::string& module, std::string_view flat) const {
  RtlilBit found;
  const RtlilModule* at = &modules_.at(module);
  auto enter = [&](std::string_view part) {
    found.scope += fmt::format("{}{}", found.scope.empty() ? "" : ".", part);
    flat.remove_prefix(part.size() + 1);
  };
  for (bool inside = true; inside;) {
    inside = false;
    for (const auto& [name, child] : at->instances) {
      if (flat.size() <= name.size() || !flat.starts_with(name) || flat[name.size()] != '.')
        continue;
      enter(name);
      at = &modules_.at(child);
      inside = true;
      break;
    }
  }
  found.module = at->base;
  const std::string_view variable = flat.substr(0, flat.find('[', flat.rfind('.') + 1));
  const bool is_array = at->arrays.count(std::string(variable)) > 0;
  std::vector<int> indices;
  for (size_t open = variable.size(); open < flat.size(); open = flat.find('[', open + 1)) {
    indices.push_back(std::atoi(flat.data() + open + 1));
  }
  if (is_array && !indices.empty()) {
    found.element = indices.front();
    indices.erase(indices.begin());
  }
  if (!indices.empty()) found.bit = indices.front();
  flat = variable;
  if (const size_t dot = flat.rfind('.'); dot != flat.npos) enter(flat.substr(0, dot));
  found.name = flat;
  return found;
}

std::set<std::string> Rtlil::Outputs(const std::string& module) const {
  std::set<std::string> outputs;
  std::string_view line;
  for (Lines lines(modules_.at(module).ports); lines.Next(line);) {
    if (line.find(" output ") == line.npos) continue;
    outputs.emplace(Words(line).back().substr(1));
  }
  return outputs;
}

std::map<std::string, long> Rtlil::Instances(const std::string& root,
                                             const std::set<std::string>& modules) const {
  // How often each module of `modules` stands below one instance of the key.
  std::map<std::string, std::map<std::string, long>> below;
  std::function<const std::map<std::string, long>&(const std::string&)> count =
      [&](const std::string& name) -> const std::map<std::string, long>& {
    if (auto found = below.find(name); found != below.end()) return found->second;
    std::map<std::string, long> total;
    if (modules.count(name)) total[name] = 1;
    for (const auto& [child, times] : modules_.at(name).children) {
      for (const auto& [inner, inner_times] : count(child)) total[inner] += times * inner_times;
    }
    return below[name] = std::move(total);
  };
  return count(root);
}

}  // namespace vaultrain
