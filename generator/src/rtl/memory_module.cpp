// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "rtl/memory_module.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "rtl/host.h"
#include "rtl/node.h"
#include "vaultrain/generate.h"
#include "vaultrain/registers.h"
#include "vaultrain/vault_pins.h"

namespace vaultrain::rtl {
namespace {

// Bits of a flit before its payload.
constexpr int kDataHead = 41;
constexpr int kReductionHead = 38;

// Directions of a router's links, in the order of their bits.
constexpr std::array<std::string_view, 4> kDirections = {"north", "east", "south", "west"};
int Opposite(int direction) { return (direction + 2) % 4; }

// A mesh as the nodes see it: prefix of their ports, width of a flit.
struct MeshOfLinks {
  std::string_view ports;  // PORTS_out_valid_o and so on
  int flit_bits;
};

// The nodes of a variant and the wires between them.
class Wiring {
 public:
  Wiring(const Variant& variant, const VaultDram& dram)
      : variant_(variant),
        dram_(dram),
        meshes_{{{"link", kDataHead + variant.mesh.link_bits},
                 {"red", kReductionHead + variant.mesh.link_bits}}} {}

  Section Host(const std::vector<PortGroup>& ports) const {
    Section section{"host", {}, {}, {}};
    Instance host{"vt_host", "u_host", HostParameters(variant_, dram_), {}};
    for (const PortGroup& group : ports) {
      for (const Port& port : group.ports) {
        host.connections.push_back({port.name, {Net(port.name)}});
      }
    }
    auto connect = [&](const std::string& name, const char* direction, int bits) {
      section.wires.push_back({name, bits, ""});
      host.connections.push_back({name + direction, {Net(name)}});
    };
    for (const Signal& signal : kToNodes) connect(signal.name, "_o", signal.TotalBits(Nodes()));
    for (const Signal& signal : kFromNodes) connect(signal.name, "_i", signal.TotalBits(Nodes()));
    connect("host_tx_valid", "_o", 1);
    connect("host_tx_ready", "_i", 1);
    connect("host_tx_flit", "_o", FlitBits());
    connect("host_rx_valid", "_i", 1);
    connect("host_rx_flit", "_i", FlitBits());
    section.instances.push_back(std::move(host));
    return section;
  }

  // The wires that leave each node, named after it and the direction.
  Section Links() const {
    Section section{
        "links, named by the node and the direction in which their flits leave it", {}, {}, {}};
    for (const MeshOfLinks& mesh : meshes_) {
      for (int n = 0; n < Nodes(); ++n) {
        for (int d = 0; d < 4; ++d) {
          if (Neighbour(n, d) < 0) continue;
          section.wires.push_back({LinkName(mesh, n, d, "valid"), 1, ""});
          section.wires.push_back({LinkName(mesh, n, d, "flit"), mesh.flit_bits, ""});
          section.wires.push_back({LinkName(mesh, n, d, "credit"), 1, ""});
        }
      }
    }
    return section;
  }

  Section Node(int n) const {
    const int x = n % variant_.mesh.x;
    const int y = n / variant_.mesh.x;
    Section section{fmt::format("node {}: column {}, row {}", n, x, y), {}, {}, {}};
    Instance node{"vt_node", fmt::format("u_node_{}", n), NodeParameters(variant_, dram_), {}};
    auto connect = [&](std::string port, Expression value) {
      node.connections.push_back({std::move(port), std::move(value)});
    };
    auto unused = [&](const std::string& name, int bits) {
      section.wires.push_back({"unused_" + name, bits, ""});
      return Net("unused_" + name);
    };
    auto coordinate = [](int value) { return Constant(3, fmt::format("{:x}", value)); };

    connect("clk_i", {Net("clk_i")});
    connect("rst_ni", {Net("rst_ni")});
    connect("my_x_i", {coordinate(x)});
    connect("my_y_i", {coordinate(y)});
    connect("last_x_i", {coordinate(variant_.mesh.x - 1)});
    connect("last_y_i", {coordinate(variant_.mesh.y - 1)});
    for (const Signal& signal : kToNodes) {
      connect(signal.NodePort() + "_i", {signal.Part(n, Nodes())});
    }
    for (const Signal& signal : kFromNodes) {
      connect(signal.NodePort() + "_o", {signal.Part(n, Nodes())});
    }
    // The memory port hangs on node 0.
    if (n == 0) {
      for (const char* name : {"host_tx_valid", "host_tx_flit"}) {
        connect(std::string(name) + "_i", {Net(name)});
      }
      for (const char* name : {"host_tx_ready", "host_rx_valid", "host_rx_flit"}) {
        connect(std::string(name) + "_o", {Net(name)});
      }
    } else {
      connect("host_tx_valid_i", {Constant(1, "0")});
      connect("host_tx_flit_i", {Constant(FlitBits(), "0")});
      connect("host_tx_ready_o", {unused(fmt::format("host_tx_ready_{}", n), 1)});
      connect("host_rx_valid_o", {unused(fmt::format("host_rx_valid_{}", n), 1)});
      connect("host_rx_flit_o", {unused(fmt::format("host_rx_flit_{}", n), FlitBits())});
    }
    for (const MeshOfLinks& mesh : meshes_) {
      auto all = [&](std::string_view suffix, auto&& part) {
        Expression value;
        for (int d = 3; d >= 0; --d) value.push_back(part(d));
        connect(fmt::format("{}_{}", mesh.ports, suffix), std::move(value));
      };
      using Part = std::variant<Net, Constant>;
      // What a node drives, or nothing at an edge.
      auto own = [&](const char* signal, int bits) {
        return [&, signal, bits](int d) -> Part {
          const std::string name = LinkName(mesh, n, d, signal);
          if (Neighbour(n, d) < 0) return unused(name, bits);
          return Net(name);
        };
      };
      // The same wire as the neighbour names it, 0 at an edge.
      auto far = [&](const char* signal, int bits) {
        return [&, signal, bits](int d) -> Part {
          const int there = Neighbour(n, d);
          if (there < 0) return Constant(bits, "0");
          return Net(LinkName(mesh, there, Opposite(d), signal));
        };
      };
      all("out_valid_o", own("valid", 1));
      all("out_flit_o", own("flit", mesh.flit_bits));
      all("out_credit_i", [&](int d) -> Part {
        if (Neighbour(n, d) < 0) return Constant(1, "0");
        return Net(LinkName(mesh, n, d, "credit"));
      });
      all("in_valid_i", far("valid", 1));
      all("in_flit_i", far("flit", mesh.flit_bits));
      all("in_credit_o", [&](int d) -> Part {
        const int there = Neighbour(n, d);
        if (there < 0) return unused(LinkName(mesh, n, d, "credit"), 1);
        return Net(LinkName(mesh, there, Opposite(d), "credit"));
      });
    }
    for (const VaultPin& pin : kVaultPins) {
      connect(std::string(pin.name), {Net(VaultPortName(pin, n))});
    }
    section.instances.push_back(std::move(node));
    return section;
  }

  int Nodes() const { return variant_.vaults; }

 private:
  // Wires between vt_host and the nodes. On the host's side a wire that each node has of its own is
  // a vector over the nodes.
  struct Signal {
    const char* name;
    int bits;
    bool each;  // a slice for every node; else all see the same
    int TotalBits(int nodes) const { return each ? bits * nodes : bits; }
    std::string NodePort() const { return name; }
    Net Part(int node, int nodes) const {
      if (!each || nodes == 1) return {name};
      return {name, node * bits, bits};
    }
  };
  static constexpr Signal kToNodes[] = {
      {"reg_select", 1, true},  {"reg_write", 1, false}, {"reg_addr", kRegisterPageBits, false},
      {"reg_wdata", 32, false}, {"reg_wstrb", 4, false}, {"start", 1, true},
      {"abort", 1, false},      {"busy", 1, false},      {"fault", 1, false},
  };
  static constexpr Signal kFromNodes[] = {
      {"reg_rdata", 32, true}, {"reg_error", 1, true},  {"done", 1, true},
      {"error", 1, true},      {"error_code", 8, true}, {"error_info", 32, true},
      {"mesh_error", 1, true}, {"data_idle", 1, true},  {"red_idle", 1, true},
  };

  int FlitBits() const { return meshes_[0].flit_bits; }

  // The node in that direction, or -1 beyond the edge.
  int Neighbour(int n, int direction) const {
    const int x = n % variant_.mesh.x;
    const int y = n / variant_.mesh.x;
    switch (direction) {
      case 0:
        return y > 0 ? n - variant_.mesh.x : -1;
      case 1:
        return x + 1 < variant_.mesh.x ? n + 1 : -1;
      case 2:
        return y + 1 < variant_.mesh.y ? n + variant_.mesh.x : -1;
      default:
        return x > 0 ? n - 1 : -1;
    }
  }

  static std::string LinkName(const MeshOfLinks& mesh, int n, int direction, const char* signal) {
    return fmt::format("{}_{}_{}_{}", mesh.ports, n, kDirections[static_cast<size_t>(direction)],
                       signal);
  }

  const Variant& variant_;
  const VaultDram& dram_;
  std::array<MeshOfLinks, 2> meshes_;
};

}  // namespace

Component MemoryModule(const Variant& variant, const VaultDram& dram) {
  Component top;
  top.name = kTopModule;
  top.header = {
      "Intelligent memory module that trains neural networks: logic layer of a 3D-stacked memory.",
      "",
      fmt::format("{} node{} on a mesh of {} x {}, each with a vault and {} multiply-accumulates "
                  "of {} a cycle,",
                  variant.vaults, variant.vaults == 1 ? "" : "s", variant.mesh.x, variant.mesh.y,
                  variant.MacsPerCycle(), FormatName(variant.operand_format)),
      "sums in fp32.",
      fmt::format("Clock period {} ps; {} DRAM data bits a cycle and vault, timing set {}.",
                  variant.clock_ps, variant.dram.data_bits, variant.dram.timing),
      "Reset is synchronous and active low; every output comes from one clock.",
  };
  const Wiring wiring(variant, dram);
  const std::vector<PortGroup> host_ports = HostPorts(variant);
  top.ports = host_ports;
  for (int n = 0; n < wiring.Nodes(); ++n) top.ports.push_back(VaultPinGroup(dram, n));
  top.sections.push_back(wiring.Host(host_ports));
  if (wiring.Nodes() > 1) top.sections.push_back(wiring.Links());
  for (int n = 0; n < wiring.Nodes(); ++n) top.sections.push_back(wiring.Node(n));
  return top;
}

}  // namespace vaultrain::rtl
