// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/tensors.h"

#include <algorithm>
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

// To nearest even, saturated; NaN is the least value.
uint16_t ToFx16(float value, int fraction_bits) {
  if (std::isnan(value)) return 0x8000;
  const double units = std::nearbyint(std::ldexp(double{value}, fraction_bits));
  return static_cast<uint16_t>(static_cast<int16_t>(std::clamp(units, -32768.0, 32767.0)));
}

// To nearest even; subnormals are zeros.
uint16_t ToFp16(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return 0x7E00;
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(double{value}), &exponent);
  double units = std::nearbyint(std::ldexp(fraction, 11));
  if (units == 2048) {
    units = 1024;
    ++exponent;
  }
  if (value == 0 || exponent < -13) return sign;
  if (exponent > 16) return sign | 0x7C00;
  return static_cast<uint16_t>(sign | (exponent + 14) << 10 | (static_cast<int>(units) & 0x3FF));
}

uint16_t Narrow(const ProgramTensor& tensor, float value) {
  switch (tensor.format) {
    case ElementFormat::kU16:
      return static_cast<uint16_t>(value);
    case ElementFormat::kFx16:
      return ToFx16(value, tensor.fraction_bits);
    case ElementFormat::kFp16:
      return ToFp16(value);
    case ElementFormat::kBf16:
    case ElementFormat::kFp32:
      break;
  }
  return ToBf16(value);
}

}  // namespace

float ElementValue(const ProgramTensor& tensor, uint32_t bits) {
  switch (tensor.format) {
    case ElementFormat::kBf16:
      return std::bit_cast<float>(bits << 16);
    case ElementFormat::kU16:
      return static_cast<float>(bits);
    case ElementFormat::kFp16: {
      const uint32_t exponent = bits >> 10 & 0x1F;
      const uint32_t wide = exponent == 0 ? 0 : exponent == 0x1F ? 0xFF : exponent + 112;
      const uint32_t fraction = exponent == 0 ? 0 : (bits & 0x3FF) << 13;
      return std::bit_cast<float>((bits & 0x8000) << 16 | wide << 23 | fraction);
    }
    case ElementFormat::kFx16:
      return std::ldexp(static_cast<float>(static_cast<int16_t>(bits)), -tensor.fraction_bits);
    case ElementFormat::kFp32:
      break;
  }
  return std::bit_cast<float>(bits);
}

uint64_t TensorBytes(const ProgramTensor& tensor) { return static_cast<uint64_t>(tensor.bytes()); }

std::vector<uint8_t> EncodeTensor(const ProgramTensor& tensor, std::span<const float> values) {
  std::vector<uint8_t> bytes(TensorBytes(tensor));
  for (int64_t r = 0; r < tensor.rows; ++r) {
    for (int64_t c = 0; c < tensor.cols; ++c) {
      uint8_t* at = bytes.data() + tensor.OffsetOf(r, c);
      const float value = values[r * tensor.cols + c];
      if (tensor.format == ElementFormat::kFp32) {
        std::memcpy(at, &value, 4);
      } else {
        const uint16_t narrow = Narrow(tensor, value);
        std::memcpy(at, &narrow, 2);
      }
    }
  }
  return bytes;
}

std::vector<float> DecodeTensor(const ProgramTensor& tensor, std::span<const uint8_t> bytes) {
  std::vector<float> values;
  values.reserve(static_cast<size_t>(tensor.rows * tensor.cols));
  for (int64_t r = 0; r < tensor.rows; ++r) {
    for (int64_t c = 0; c < tensor.cols; ++c) {
      const uint8_t* at = bytes.data() + tensor.OffsetOf(r, c);
      uint32_t bits = 0;
      std::memcpy(&bits, at, static_cast<size_t>(BytesOf(tensor.format)));
      values.push_back(ElementValue(tensor, bits));
    }
  }
  return values;
}

std::vector<uint8_t> ReadValues(const ProgramTensor& tensor, Device& device) {
  std::vector<uint8_t> bytes(TensorBytes(tensor));
  device.Read(tensor.address, bytes);
  const auto size = static_cast<size_t>(BytesOf(tensor.format));
  std::vector<uint8_t> values(static_cast<size_t>(tensor.rows * tensor.cols) * size);
  uint8_t* to = values.data();
  for (int64_t r = 0; r < tensor.rows; ++r) {
    for (int64_t c = 0; c < tensor.cols; ++c, to += size) {
      std::memcpy(to, bytes.data() + tensor.OffsetOf(r, c), size);
    }
  }
  return values;
}

void LoadValues(const ProgramTensor& tensor, std::span<const uint8_t> values, Device& device) {
  ProgramSegment segment{tensor.address, std::vector<uint8_t>(TensorBytes(tensor))};
  device.Read(tensor.address, segment.bytes);
  const auto size = static_cast<size_t>(BytesOf(tensor.format));
  const uint8_t* from = values.data();
  for (int64_t r = 0; r < tensor.rows; ++r) {
    for (int64_t c = 0; c < tensor.cols; ++c, from += size) {
      std::memcpy(segment.bytes.data() + tensor.OffsetOf(r, c), from, size);
    }
  }
  device.Load({&segment, 1});
}

namespace {

template <typename Wanted>
WholeTensor PartsThat(const Program& program, Wanted wanted) {
  WholeTensor whole;
  for (const ProgramTensor& part : program.tensors) {
    if (!wanted(part)) continue;
    whole.parts.push_back(&part);
    whole.rows = std::max(whole.rows, part.row + part.rows);
    whole.cols = std::max(whole.cols, part.col + part.cols);
  }
  if (whole.parts.empty()) throw std::out_of_range("no such tensor");
  return whole;
}

}  // namespace

WholeTensor TensorOf(const Program& program, TensorRole role) {
  return PartsThat(program, [role](const ProgramTensor& part) { return part.role == role; });
}

WholeTensor TensorOf(const Program& program, const std::string& name) {
  return PartsThat(program, [&name](const ProgramTensor& part) { return part.tensor == name; });
}

std::vector<ProgramSegment> Scatter(const WholeTensor& tensor, std::span<const float> values) {
  std::vector<ProgramSegment> segments;
  std::vector<float> part_values;
  const int64_t cols = static_cast<int64_t>(values.size()) / tensor.rows;
  for (const ProgramTensor* part : tensor.parts) {
    part_values.clear();
    for (int64_t r = 0; r < part->rows; ++r) {
      const auto row = values.begin() + (part->row + r) * cols + part->col;
      if (part->source.empty()) {
        part_values.insert(part_values.end(), row, row + part->cols);
      } else {
        for (const int32_t from : part->source) part_values.push_back(from < 0 ? 0.0f : row[from]);
      }
    }
    segments.push_back({part->address, EncodeTensor(*part, part_values)});
  }
  return segments;
}

std::vector<float> Gather(const WholeTensor& tensor, Device& device) {
  std::vector<float> values(static_cast<size_t>(tensor.rows * tensor.cols));
  for (const ProgramTensor* part : tensor.parts) {
    std::vector<uint8_t> bytes(TensorBytes(*part));
    device.Read(part->address, bytes);
    const std::vector<float> part_values = DecodeTensor(*part, bytes);
    for (int64_t r = 0; r < part->rows; ++r) {
      std::copy_n(part_values.begin() + r * part->cols, part->cols,
                  values.begin() + (part->row + r) * tensor.cols + part->col);
    }
  }
  return values;
}

}  // namespace vaultrain
