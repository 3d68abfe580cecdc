// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "rtl/verilog_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

namespace vaultrain::rtl {
namespace {

// An emitted module:
//
//   // opening, header
//   `default_nettype none
//   module NAME #(parameters) (ports in groups);
//     // ---- heading
//     wires, assigns, instances
//   endmodule
//   `default_nettype wire

// IEEE 1364-2005, annex B.
constexpr std::string_view kReserved =
    " always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config "
    "deassign default defparam design disable edge else end endcase endconfig endfunction "
    "endgenerate endmodule endprimitive endspecify endtable endtask event for force forever fork "
    "function generate genvar highz0 highz1 if ifnone incdir include initial inout input instance "
    "integer join large liblist library localparam macromodule medium module nand negedge nmos nor "
    "noshowcancelled not notif0 notif1 or output parameter pmos posedge primitive pull0 pull1 "
    "pulldown pullup pulsestyle_onevent pulsestyle_ondetect rcmos real realtime reg release repeat "
    "rnmos rpmos rtran rtranif0 rtranif1 scalared showcancelled signed small specify specparam "
    "strong0 strong1 supply0 supply1 table task time tran tranif0 tranif1 tri tri0 tri1 triand "
    "trior trireg unsigned use uwire vectored wait wand weak0 weak1 while wire wor xnor xor ";

template <typename... Args>
[[noreturn]] void Fail(const Component& component, fmt::format_string<Args...> format,
                       Args&&... args) {
  throw std::logic_error(fmt::format("component {}: {}", component.name,
                                     fmt::format(format, std::forward<Args>(args)...)));
}

bool IsLegalName(const std::string& name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9');
  }) && kReserved.find(" " + name + " ") == std::string_view::npos;
}

class Checker {
 public:
  explicit Checker(const Component& component) : component_(component) {}

  void Run() {
    Declare(component_.name, 0);
    for (const Parameter& parameter : component_.parameters) Declare(parameter.name, 0);
    for (const PortGroup& group : component_.ports) {
      for (const Port& port : group.ports) DeclareNet(port.name, port.bits);
    }
    for (const Section& section : component_.sections) {
      for (const Wire& wire : section.wires) DeclareNet(wire.name, wire.bits);
      for (const Instance& instance : section.instances) Declare(instance.name, 0);
    }
    for (const Section& section : component_.sections) {
      for (const Assign& assign : section.assigns) {
        CheckNet(assign.target);
        CheckExpression(assign.target.name, assign.value);
      }
      for (const Instance& instance : section.instances) CheckInstance(instance);
    }
  }

 private:
  void Declare(const std::string& name, int bits) {
    if (!IsLegalName(name)) Fail(component_, "'{}' is no legal name", name);
    if (!bits_.emplace(name, bits).second) Fail(component_, "{} is declared twice", name);
  }

  // A width by parameter is kept as -1: known to be a net, its slices unchecked.
  void DeclareNet(const std::string& name, const Bits& bits) {
    if (!bits.parameter.empty()) {
      bool known = std::any_of(component_.parameters.begin(), component_.parameters.end(),
                               [&](const Parameter& p) { return p.name == bits.parameter; });
      if (!known) Fail(component_, "width of {}: no parameter {}", name, bits.parameter);
    } else if (bits.number < 1) {
      Fail(component_, "{} has {} bits", name, bits.number);
    }
    Declare(name, bits.parameter.empty() ? bits.number : -1);
  }

  void CheckNet(const Net& net) {
    auto found = bits_.find(net.name);
    if (found == bits_.end() || found->second == 0) Fail(component_, "no net {}", net.name);
    if (found->second > 0 && (net.lsb < 0 || net.lsb + net.bits > found->second)) {
      Fail(component_, "{} has {} bits, not bit {}", net.name, found->second,
           net.lsb + net.bits - 1);
    }
  }

  void CheckExpression(const std::string& target, const Expression& expression) {
    if (expression.empty()) Fail(component_, "{} is given nothing", target);
    for (const auto& part : expression) {
      if (const Net* net = std::get_if<Net>(&part)) CheckNet(*net);
      if (const Constant* constant = std::get_if<Constant>(&part)) {
        if (constant->width == 0) Fail(component_, "a constant beside nets needs a width");
      }
    }
  }

  void CheckInstance(const Instance& instance) {
    if (!IsLegalName(instance.module)) {
      Fail(component_, "'{}' is no legal name", instance.module);
    }
    std::set<std::string> seen;
    for (const Parameter& parameter : instance.parameters) {
      if (!IsLegalName(parameter.name) || !seen.insert(parameter.name).second) {
        Fail(component_, "{}: parameter {} is illegal or given twice", instance.name,
             parameter.name);
      }
    }
    for (const Connection& connection : instance.connections) {
      if (!IsLegalName(connection.port) || !seen.insert(connection.port).second) {
        Fail(component_, "{}: port {} is illegal or connected twice", instance.name,
             connection.port);
      }
      CheckExpression(connection.port, connection.value);
    }
  }

  const Component& component_;
  std::map<std::string, int> bits_;
};

std::string Range(const Bits& bits) {
  if (!bits.parameter.empty()) return fmt::format("[{}-1:0]", bits.parameter);
  return bits.number == 1 ? "" : fmt::format("[{}:0]", bits.number - 1);
}

std::string Print(const Constant& constant) {
  return constant.width == 0 ? fmt::format("{}", constant.value)
                             : fmt::format("{}'h{}", constant.width, constant.hex_digits);
}

std::string Print(const Net& net) {
  if (net.bits == 0) return net.name;
  if (net.bits == 1) return fmt::format("{}[{}]", net.name, net.lsb);
  return fmt::format("{}[{}:{}]", net.name, net.lsb + net.bits - 1, net.lsb);
}

std::string Print(const Expression& expression) {
  std::string text;
  for (const auto& part : expression) {
    if (!text.empty()) text += ", ";
    text += std::visit([](const auto& value) { return Print(value); }, part);
  }
  return expression.size() > 1 ? "{" + text + "}" : text;
}

std::string Comment(const std::string& comment) { return comment.empty() ? "" : "  // " + comment; }

// "name = value" padded to the longest name.
std::string Parameters(const std::vector<Parameter>& parameters) {
  size_t name_width = 0;
  size_t value_width = 0;
  for (const Parameter& parameter : parameters) {
    name_width = std::max(name_width, parameter.name.size());
    value_width = std::max(value_width, Print(parameter.value).size() + 1);
  }
  std::string text;
  for (const Parameter& parameter : parameters) {
    bool last = &parameter == &parameters.back();
    std::string value = Print(parameter.value) + (last ? "" : ",");
    std::string line = fmt::format("    parameter {:{}} = {}", parameter.name, name_width, value);
    if (!parameter.comment.empty()) {
      line += std::string(value_width - value.size(), ' ') + Comment(parameter.comment);
    }
    text += line + "\n";
  }
  return text;
}

std::string Ports(const std::vector<PortGroup>& groups) {
  size_t range_width = 0;
  for (const PortGroup& group : groups) {
    for (const Port& port : group.ports) {
      range_width = std::max(range_width, Range(port.bits).size());
    }
  }
  std::string text;
  for (const PortGroup& group : groups) {
    if (!text.empty()) text += "\n";
    if (!group.comment.empty()) text += fmt::format("    // {}\n", group.comment);
    size_t name_width = 0;
    for (const Port& port : group.ports) name_width = std::max(name_width, port.name.size() + 1);
    for (const Port& port : group.ports) {
      bool last = &group == &groups.back() && &port == &group.ports.back();
      std::string name = port.name + (last ? "" : ",");
      std::string line = fmt::format("    {} wire {:>{}}{}{}",
                                     port.direction == Direction::kInput ? "input " : "output",
                                     Range(port.bits), range_width, range_width ? " " : "", name);
      if (!port.comment.empty()) {
        line += std::string(name_width - name.size(), ' ') + Comment(port.comment);
      }
      text += line + "\n";
    }
  }
  return text;
}

template <typename Item, typename NameOf, typename ValueOf>
std::string Map(const std::vector<Item>& items, NameOf name_of, ValueOf value_of) {
  size_t width = 0;
  for (const Item& item : items) width = std::max(width, name_of(item).size());
  std::string text;
  for (const Item& item : items) {
    text += fmt::format("      .{:{}}({}){}\n", name_of(item), width, value_of(item),
                        &item == &items.back() ? "" : ",");
  }
  return text;
}

std::string Print(const Instance& instance) {
  std::string text = "  " + instance.module;
  if (!instance.parameters.empty()) {
    text += " #(\n";
    text += Map(
        instance.parameters, [](const Parameter& p) { return p.name; },
        [](const Parameter& p) { return Print(p.value); });
    text += "  )";
  }
  text += fmt::format(" {} (\n", instance.name);
  text += Map(
      instance.connections, [](const Connection& c) { return c.port; },
      [](const Connection& c) { return Print(c.value); });
  return text + "  );\n";
}

std::string Print(const Section& section) {
  std::string text;
  if (!section.heading.empty()) text += fmt::format("\n  // ---- {}\n", section.heading);
  if (!section.wires.empty()) text += "\n";
  for (const Wire& wire : section.wires) {
    std::string range = Range(wire.bits);
    text += fmt::format("  wire {}{}{};{}\n", range, range.empty() ? "" : " ", wire.name,
                        Comment(wire.comment));
  }
  if (!section.assigns.empty()) text += "\n";
  for (const Assign& assign : section.assigns) {
    text += fmt::format("  assign {} = {};\n", Print(assign.target), Print(assign.value));
  }
  for (const Instance& instance : section.instances) {
    text += "\n";
    text += Print(instance);
  }
  return text;
}

}  // namespace

std::string WriteVerilog(const Component& component, const std::string& opening) {
  Checker(component).Run();
  std::string text = opening;
  text += "//\n";
  for (const std::string& line : component.header) {
    text += line.empty() ? "//\n" : fmt::format("// {}\n", line);
  }
  text += "\n`default_nettype none\n\nmodule " + component.name;
  if (!component.parameters.empty()) text += " #(\n" + Parameters(component.parameters) + ")";
  text += " (\n" + Ports(component.ports) + ");\n";
  for (const Section& section : component.sections) text += Print(section);
  text += "\nendmodule\n\n`default_nettype wire\n";
  return text;
}

}  // namespace vaultrain::rtl
