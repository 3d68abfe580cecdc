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
#include "vaultrain/program.h"

namespace vaultrain {

// Bytes that a tensor occupies, padding included: rows * pitch.
uint64_t TensorBytes(const ProgramTensor& tensor);

// Values [rows][cols], row-major, as the host writes them; bf16 rounds to nearest even. Padding is
// zero.
std::vector<uint8_t> EncodeTensor(const ProgramTensor& tensor, std::span<const float> values);
std::vector<uint8_t> EncodeLabels(const ProgramTensor& tensor, std::span<const uint8_t> labels);

// Values [rows][cols] of a tensor's bytes.
std::vector<float> DecodeTensor(const ProgramTensor& tensor, std::span<const uint8_t> bytes);

// The only tensor in a role; throws std::out_of_range if there is none.
const ProgramTensor& TensorOf(const Program& program, TensorRole role);

}  // namespace vaultrain

#endif  // VAULTRAIN_TENSORS_H_
