// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What a generated module is, before it has a language: names, ports in protocol groups, wires,
// instances, assigns.
//
// Components only describe. verilog_writer.cpp alone knows how that is spelt.

#ifndef VAULTRAIN_SRC_RTL_COMPONENT_H_
#define VAULTRAIN_SRC_RTL_COMPONENT_H_

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace vaultrain::rtl {

// A number of bits: a bare number, or a parameter of the component that holds it.
struct Bits {
  Bits(int number) : number(number) {}                              // NOLINT(runtime/explicit)
  Bits(std::string parameter) : parameter(std::move(parameter)) {}  // NOLINT(runtime/explicit)
  Bits(const char* parameter) : parameter(parameter) {}             // NOLINT(runtime/explicit)
  int number = 0;
  std::string parameter;  // empty: number counts
};

enum class Direction { kInput, kOutput };

struct Port {
  std::string name;
  Direction direction;
  Bits bits;
  std::string comment;  // may be empty
};

// Ports that one protocol joins. The comment is its heading.
struct PortGroup {
  std::string comment;
  std::vector<Port> ports;
};

// A constant: a plain integer, or hexadecimal digits of a stated width.
struct Constant {
  Constant(long value) : value(value) {}  // NOLINT(runtime/explicit)
  Constant(int width, std::string hex_digits) : width(width), hex_digits(std::move(hex_digits)) {}
  long value = 0;
  int width = 0;  // 0: plain integer
  std::string hex_digits;
};

struct Parameter {
  std::string name;
  Constant value;
  std::string comment;
};

// A port or wire of the component, whole (bits 0) or from bit lsb on.
struct Net {
  Net(std::string name, int lsb = 0, int bits = 0)  // NOLINT(runtime/explicit)
      : name(std::move(name)), lsb(lsb), bits(bits) {}
  Net(const char* name) : name(name) {}  // NOLINT(runtime/explicit)
  std::string name;
  int lsb = 0;
  int bits = 0;
};

// Nets and constants side by side, the most significant first; never empty.
using Expression = std::vector<std::variant<Net, Constant>>;

struct Wire {
  std::string name;
  Bits bits;
  std::string comment;
};

struct Assign {
  Net target;
  Expression value;
};

struct Connection {
  std::string port;
  Expression value;
};

struct Instance {
  std::string module;
  std::string name;
  std::vector<Parameter> parameters;
  std::vector<Connection> connections;
};

// A part of the body under one heading; wires, then assigns, then instances.
struct Section {
  std::string heading;
  std::vector<Wire> wires;
  std::vector<Assign> assigns;
  std::vector<Instance> instances;
};

struct Component {
  std::string name;
  std::vector<std::string> header;  // lines: what it is, how fast, how exact
  std::vector<Parameter> parameters;
  std::vector<PortGroup> ports;
  std::vector<Section> sections;
};

}  // namespace vaultrain::rtl

#endif  // VAULTRAIN_SRC_RTL_COMPONENT_H_
