// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "netlist.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include "vaultrain/error.h"

namespace vaultrain {
namespace {

struct Range {
  int high = 0, low = 0;
};

using Widths = std::map<std::string, Range, std::less<>>;

std::string_view Trim(std::string_view text) {
  size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

int Number(std::string_view text) { return std::atoi(std::string(text).c_str()); }

// "[7:0]" or "[3]" with its brackets.
Range ParseRange(std::string_view text) {
  text = text.substr(1, text.size() - 2);
  size_t colon = text.find(':');
  if (colon == text.npos) return {Number(text), Number(text)};
  return {Number(text.substr(0, colon)), Number(text.substr(colon + 1))};
}

// The bits of one name, slice, constant or concatenation, most significant first.
void AppendBits(std::string_view text, const Widths& widths, std::vector<std::string>& bits) {
  text = Trim(text);
  if (text.empty()) return;
  if (text.front() == '{') {
    text = text.substr(1, text.size() - 2);
    size_t start = 0;
    for (size_t at = 0; at <= text.size(); ++at) {
      if (at == text.size() || text[at] == ',') {
        AppendBits(text.substr(start, at - start), widths, bits);
        start = at + 1;
      }
    }
    return;
  }
  if (size_t tick = text.find("'b"); tick != text.npos && text.front() != '\\') {
    for (char bit : text.substr(tick + 2)) bits.push_back(fmt::format("1'b{}", bit));
    return;
  }
  // An escaped name ends at a blank and may hold brackets itself.
  size_t name_end = text.front() == '\\' ? std::min(text.find(' '), text.size()) : text.find('[');
  std::string name(text.substr(0, name_end));
  std::string_view rest =
      name_end >= text.size() ? std::string_view() : Trim(text.substr(name_end));
  auto known = widths.find(name);
  if (rest.empty() && known == widths.end()) {
    bits.push_back(name + (name.front() == '\\' ? " " : ""));
    return;
  }
  Range range = rest.empty() ? known->second : ParseRange(rest);
  std::string_view gap = name.front() == '\\' ? " " : "";
  for (int bit = range.high; bit >= range.low; --bit)
    bits.push_back(fmt::format("{}{}[{}]", name, gap, bit));
}

// A name without its escape.
std::string Plain(std::string_view name) {
  name = Trim(name);
  if (name.starts_with("\\")) name.remove_prefix(1);
  return std::string(name);
}

[[noreturn]] void Unreadable(std::string_view line) {
  throw Error(ExitStatus::kInternal, fmt::format("netlist: unexpected line '{}'", line));
}

}  // namespace

std::string SplitAssignments(std::string_view netlist) {
  std::string out;
  Widths widths;
  size_t at = 0;
  while (at < netlist.size()) {
    size_t end = std::min(netlist.find('\n', at), netlist.size());
    std::string_view line = netlist.substr(at, end - at);
    at = end + 1;
    std::string_view body = Trim(line);
    if (!body.empty() && body.back() == ';') body.remove_suffix(1);
    for (std::string_view kind : {"wire [", "input [", "output ["}) {
      if (!body.starts_with(kind)) continue;
      size_t open = kind.size() - 1;
      size_t close = body.find(']');
      widths[std::string(Trim(body.substr(close + 1)))] =
          ParseRange(body.substr(open, close - open + 1));
    }
    if (body.starts_with("assign {")) {
      body.remove_prefix(7);
      size_t equals = body.find("} = ");
      std::vector<std::string> left, right;
      AppendBits(body.substr(0, equals + 1), widths, left);
      AppendBits(body.substr(equals + 4), widths, right);
      if (left.size() == right.size()) {
        for (size_t i = 0; i < left.size(); ++i)
          out += fmt::format("  assign {} = {};\n", left[i], right[i]);
        continue;
      }
    }
    out += line;
    out += '\n';
  }
  return out;
}

Netlist ParseNetlist(std::string_view text) {
  Netlist netlist;
  Widths widths;
  auto bits_of = [&](std::string_view value) {
    std::vector<std::string> bits;
    AppendBits(value, widths, bits);
    std::reverse(bits.begin(), bits.end());
    return bits;
  };
  NetlistCell* cell = nullptr;
  bool in_header = false;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = Trim(text.substr(at, end - at));
    at = end + 1;
    // The header may be folded; its ports are declared behind it.
    if (in_header || line.starts_with("module ")) {
      in_header = !line.ends_with(";");
      continue;
    }
    if (line.empty() || line.starts_with("/*") || line == "endmodule") continue;
    if (cell != nullptr) {
      if (line == ");") {
        cell = nullptr;
        continue;
      }
      const size_t open = line.find('(');
      const size_t close = line.rfind(')');
      if (line.front() != '.' || open == line.npos) Unreadable(line);
      cell->pins.push_back({Plain(line.substr(1, open - 1)), false,
                            bits_of(line.substr(open + 1, close - open - 1))});
      continue;
    }
    const bool declares =
        line.starts_with("wire ") || line.starts_with("input ") || line.starts_with("output ");
    if (declares) {
      std::string_view rest = Trim(line.substr(line.find(' '), line.size()));
      rest.remove_suffix(1);  // ;
      if (rest.front() == '[') {
        const size_t close = rest.find(']');
        const Range range = ParseRange(rest.substr(0, close + 1));
        rest = Trim(rest.substr(close + 1));
        widths[std::string(rest)] = range;
      }
      if (!line.starts_with("wire ")) {
        netlist.ports.push_back({Plain(rest), line.starts_with("input "), bits_of(rest)});
      }
    } else if (line.starts_with("assign ")) {
      const size_t equals = line.find(" = ");
      const auto left = bits_of(line.substr(7, equals - 7));
      const auto right = bits_of(line.substr(equals + 3, line.size() - equals - 4));
      if (left.size() != right.size()) Unreadable(line);
      for (size_t i = 0; i < left.size(); ++i) netlist.assigns.emplace_back(left[i], right[i]);
    } else {
      const size_t gap = line.find(' ');
      if (gap == line.npos || line.back() != '(') Unreadable(line);
      netlist.cells.push_back(
          {Plain(line.substr(0, gap)), Plain(Trim(line.substr(gap, line.size() - gap - 1))), {}});
      cell = &netlist.cells.back();
    }
  }
  return netlist;
}

std::string NameInRtl(const Netlist& netlist, std::string_view cell) {
  auto is_private = [](std::string_view name) {
    return name.size() > 2 && name.front() == '_' && name.back() == '_' &&
           name.find_first_not_of("0123456789", 1) == name.size() - 1;
  };
  if (cell.ends_with(kRegisterSuffix)) cell.remove_suffix(kRegisterSuffix.size());
  if (!is_private(cell)) return std::string(cell);
  // Yosys writes outputs last; what loads a net has it at another pin.
  auto output = [](const NetlistCell& of) -> std::string_view {
    return of.pins.empty() || of.pins.back().bits.empty() ? "" : of.pins.back().bits[0];
  };
  std::string_view net;
  for (const NetlistCell& one : netlist.cells) {
    if (one.name != cell) continue;
    for (const NetlistPort& pin : one.pins) {
      if (pin.name.starts_with("Q") && !pin.bits.empty()) net = pin.bits[0];
    }
  }
  if (net.empty()) return std::string(cell);
  if (!is_private(net)) return std::string(net);
  for (const auto& [left, right] : netlist.assigns) {
    if (right == net && !is_private(left)) return left;
  }
  for (const NetlistCell& load : netlist.cells) {
    if (load.pins.size() != 2 || is_private(output(load))) continue;
    if (load.pins[0].bits.size() == 1 && load.pins[0].bits[0] == net) {
      return std::string(output(load));
    }
  }
  return std::string(cell);
}

}  // namespace vaultrain
