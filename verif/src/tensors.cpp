// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/tensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace vaultrain {
namespace {

// Round to nearest even; the host's own, as the host is no part of the hardware.
uint16_t ToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return 0x7FC0;
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

}  // namespace

uint64_t TensorBytes(const ProgramTensor& tensor) {
  return static_cast<uint64_t>(tensor.rows * tensor.pitch_bytes);
}

std::vector<uint8_t> EncodeTensor(const ProgramTensor& tensor, std::span<const float> values) {
  std::vector<uint8_t> bytes(TensorBytes(tensor));
  for (int64_t r = 0; r < tensor.rows; ++r) {
    uint8_t* row = bytes.data() + r * tensor.pitch_bytes;
    for (int64_t c = 0; c < tensor.cols; ++c) {
      const float value = values[r * tensor.cols + c];
      if (tensor.format == ElementFormat::kFp32) {
        std::memcpy(row + 4 * c, &value, 4);
      } else {
        const uint16_t narrow = ToBf16(value);
        std::memcpy(row + 2 * c, &narrow, 2);
      }
    }
  }
  return bytes;
}

std::vector<uint8_t> EncodeLabels(const ProgramTensor& tensor, std::span<const uint8_t> labels) {
  std::vector<uint8_t> bytes(TensorBytes(tensor));
  for (size_t i = 0; i < labels.size(); ++i) bytes[2 * i] = labels[i];
  return bytes;
}

std::vector<float> DecodeTensor(const ProgramTensor& tensor, std::span<const uint8_t> bytes) {
  std::vector<float> values;
  values.reserve(static_cast<size_t>(tensor.rows * tensor.cols));
  for (int64_t r = 0; r < tensor.rows; ++r) {
    const uint8_t* row = bytes.data() + r * tensor.pitch_bytes;
    for (int64_t c = 0; c < tensor.cols; ++c) {
      uint32_t bits = 0;
      if (tensor.format == ElementFormat::kFp32) {
        std::memcpy(&bits, row + 4 * c, 4);
      } else {
        uint16_t narrow = 0;
        std::memcpy(&narrow, row + 2 * c, 2);
        bits = static_cast<uint32_t>(narrow) << 16;
        if (tensor.format == ElementFormat::kU16) {
          bits = std::bit_cast<uint32_t>(static_cast<float>(narrow));
        }
      }
      values.push_back(std::bit_cast<float>(bits));
    }
  }
  return values;
}

const ProgramTensor& TensorOf(const Program& program, TensorRole role) {
  for (const ProgramTensor& tensor : program.tensors) {
    if (tensor.role == role) return tensor;
  }
  throw std::out_of_range("no tensor in this role");
}

}  // namespace vaultrain
