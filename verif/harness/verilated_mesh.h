// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A Verilated vt_mesh as MeshModel.

#ifndef VAULTRAIN_VERIF_HARNESS_VERILATED_MESH_H_
#define VAULTRAIN_VERIF_HARNESS_VERILATED_MESH_H_

#include <type_traits>

#include "harness/mesh_traffic.h"

namespace vaultrain {

template <typename Dut>
class VerilatedMesh : public MeshModel {
 public:
  VerilatedMesh(Dut& dut, int nodes) : dut_(dut), nodes_(nodes) {
    inject_flit.assign(nodes, 0);
    eject_flit.assign(nodes, 0);
  }

  void Reset() override {
    dut_.rst_ni = 0;
    for (int edge = 0; edge < 2; ++edge) {
      Settle();
      Rise();
    }
    dut_.rst_ni = 1;
  }

  void Settle() override {
    dut_.clk_i = 0;
    PutSmall(dut_.inject_valid_i, inject_valid);
    PutSmall(dut_.eject_ready_i, eject_ready);
    for (int n = 0; n < nodes_; ++n) {
      if (inject_valid >> n & 1) PutFlit(dut_.inject_flit_i, n, inject_flit[n]);
    }
    dut_.eval();
    inject_ready = dut_.inject_ready_o;
    eject_valid = dut_.eject_valid_o;
    idle = dut_.idle_o;
    error = dut_.error_o;
    for (int n = 0; n < nodes_; ++n) {
      if (eject_valid >> n & 1) eject_flit[n] = GetFlit(dut_.eject_flit_o, n);
    }
  }

  void Rise() override {
    dut_.clk_i = 1;
    dut_.eval();
  }

 private:
  template <typename Port>
  static void PutSmall(Port& port, uint64_t value) {
    port = static_cast<Port>(value);
  }

  template <typename Port>
  static void PutFlit(Port& port, int node, uint64_t flit) {
    if constexpr (std::is_integral_v<Port>) {
      port = flit;
    } else {
      port[2 * node] = static_cast<uint32_t>(flit);
      port[2 * node + 1] = static_cast<uint32_t>(flit >> 32);
    }
  }

  template <typename Port>
  static uint64_t GetFlit(const Port& port, int node) {
    if constexpr (std::is_integral_v<Port>) {
      return port;
    } else {
      return uint64_t{port[2 * node]} | uint64_t{port[2 * node + 1]} << 32;
    }
  }

  Dut& dut_;
  int nodes_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_HARNESS_VERILATED_MESH_H_
