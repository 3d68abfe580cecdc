// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Border of the shared object of a Verilated vt_mesh of VT_NODES nodes.

#include <Vmodule.h>

#include "harness/verilated_mesh.h"

namespace {

struct OwnMesh {
  VerilatedContext context;
  Vmodule dut{&context};
};

class SharedMesh : private OwnMesh, public vaultrain::VerilatedMesh<Vmodule> {
 public:
  SharedMesh() : VerilatedMesh(dut, VT_NODES) {}
};

}  // namespace

extern "C" vaultrain::MeshModel* vt_mesh_create() { return new SharedMesh; }
extern "C" void vt_mesh_destroy(vaultrain::MeshModel* mesh) { delete mesh; }
