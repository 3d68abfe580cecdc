// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Tensors of a program as bytes of the vault, and back.

#ifndef VAULTRAIN_TENSORS_H_
#define VAULTRAIN_TENSORS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "vaultrain/dataset.h"
#include "vaultrain/device.h"
#include "vaultrain/program.h"

namespace vaultrain {

// Bytes that a tensor occupies, padding included.
uint64_t TensorBytes(const ProgramTensor& tensor);

// The value of an element's bits.
float ElementValue(const ProgramTensor& tensor, uint32_t bits);

// Values [rows][cols] of a part, row-major, as the host writes them; bf16, fp16 and fx16 round to
// nearest even, fx16 saturates, labels are whole numbers. Padding is zero.
std::vector<uint8_t> EncodeTensor(const ProgramTensor& tensor, std::span<const float> values);

// Values [rows][cols] of a tensor's bytes.
std::vector<float> DecodeTensor(const ProgramTensor& tensor, std::span<const uint8_t> bytes);

// The values of a part as the dies hold them, [rows][cols], without what lies between them.
std::vector<uint8_t> ReadValues(const ProgramTensor& tensor, Device& device);

// Makes them what the part starts with; what lies between them stays.
void LoadValues(const ProgramTensor& tensor, std::span<const uint8_t> values, Device& device);

// The only tensor in a role, whole: its parts, and the rows and columns that they cover together.
struct WholeTensor {
  std::vector<const ProgramTensor*> parts;
  int64_t rows = 0;
  int64_t cols = 0;
};

// Throws std::out_of_range if no tensor has the role.
WholeTensor TensorOf(const Program& program, TensorRole role);
// By its name.
WholeTensor TensorOf(const Program& program, const std::string& name);

// What every part of a tensor holds, from the values [rows][cols] of the whole, of an input from
// those of the samples.
std::vector<ProgramSegment> Scatter(const WholeTensor& tensor, std::span<const float> values);

// Values [rows][cols] of the whole, read from the dies. Where parts cover each other the last one
// counts.
std::vector<float> Gather(const WholeTensor& tensor, Device& device);

}  // namespace vaultrain

#endif  // VAULTRAIN_TENSORS_H_
