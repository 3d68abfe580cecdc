// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "golden/dot.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

// Compiled for plain x86-64 and for wider vectors, chosen when the program starts. The sanitizers
// cannot run the choosing functions.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define VT_VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define VT_VECTOR_CLONES
#endif
#define VT_INLINE inline __attribute__((always_inline))

namespace vaultrain::golden {
namespace {

constexpr int32_t kPoison = 1 << 16;  // marks an exponent whose group has its NaN flag set

struct Operand {
  uint32_t magnitude;  // 1.f as an integer, 0 for a zero
  uint32_t exponent;
  bool negative;
};

Operand Split(uint32_t bits, int man_bits) {
  Operand operand;
  operand.exponent = (bits >> man_bits) & 0xff;
  operand.magnitude = (bits & ((1u << man_bits) - 1)) | (1u << man_bits);
  if (operand.exponent == 0) operand.magnitude = 0;
  operand.negative = (bits >> (man_bits + 8)) & 1;
  return operand;
}

VT_INLINE Sum MergeSums(const Sum& a, const Sum& b, int acc_bits) {
  const bool a_larger = a.exponent >= b.exponent;
  const Sum& high = a_larger ? a : b;
  const Sum& low = a_larger ? b : a;
  // With one more bit below, rounding half up needs no special case for a difference of 0; from
  // acc_bits on all is 0.
  const int difference = std::min(high.exponent - low.exponent, acc_bits);
  const int64_t shifted = (((low.mantissa * 2) >> difference) + 1) >> 1;
  Sum sum;
  sum.mantissa = high.mantissa + shifted;
  sum.exponent = high.exponent;
  const bool overflow = (sum.mantissa >> (acc_bits - 1)) != (sum.mantissa >> 63);
  sum.mantissa >>= overflow;
  sum.exponent += overflow;
  sum.nan = a.nan | b.nan;
  return sum;
}

// Of fx16.
VT_INLINE int64_t AddSaturating(int64_t a, int64_t b, int acc_bits) {
  const int64_t most = (int64_t{1} << (acc_bits - 1)) - 1;
  return std::clamp(a + b, -most - 1, most);
}

// What the inner loops read. Groups are decoded as magnitudes, then shifts (8 bits), then signs (0
// or -1, 8 bits).
struct Job {
  const uint8_t* decoded;
  const int32_t* exponent;
  size_t group_bytes;
  int rows;
  int lanes;
  int acc_bits;
  int left;   // align_bits - ProdBits if positive
  int right;  // ProdBits - align_bits if positive
  std::span<const uint32_t> a_words;
  std::span<const uint32_t> b_words;
  bool initialise;
  int32_t fixed_exponent;
  int up;  // bits by which dot products of fx16 with guard bits move to their place in a sum
  int down;
  Sum* entries;
};

// Wide holds an aligned product and the sum of all lanes; Product holds an unaligned product.
template <typename Magnitude, typename Product, typename Wide>
VT_INLINE Wide DotLanes(const uint8_t* a, const uint8_t* b, int lanes, int left, int right) {
  const auto* a_magnitude = reinterpret_cast<const Magnitude*>(a);
  const auto* b_magnitude = reinterpret_cast<const Magnitude*>(b);
  const uint8_t* a_shift = a + lanes * sizeof(Magnitude);
  const uint8_t* b_shift = b + lanes * sizeof(Magnitude);
  const auto* a_sign = reinterpret_cast<const int8_t*>(a_shift + lanes);
  const auto* b_sign = reinterpret_cast<const int8_t*>(b_shift + lanes);
  constexpr unsigned kLimit = 8 * sizeof(Wide) - 1;  // shifts an aligned product to zero
  Wide sum = 0;
  for (int i = 0; i < lanes; ++i) {
    const Product product =
        static_cast<Product>(static_cast<Product>(a_magnitude[i]) * b_magnitude[i]);
    const unsigned shift = std::min(static_cast<unsigned>(a_shift[i] + b_shift[i] + right), kLimit);
    const Wide aligned = (static_cast<Wide>(product) << left) >> shift;
    const Wide sign = static_cast<Wide>(static_cast<int8_t>(a_sign[i] ^ b_sign[i]));
    sum += (aligned ^ sign) - sign;
  }
  return sum;
}

template <typename Magnitude, typename Product, typename Wide>
VT_INLINE void RunJob(const Job& job, int lanes) {
  using Signed = std::make_signed_t<Wide>;
  const size_t cols = job.b_words.size();
  Sum* entry = job.entries;
  for (const uint32_t a_word : job.a_words) {
    for (size_t c = 0; c < cols; ++c, ++entry) {
      Sum total;
      for (int r = 0; r < job.rows; ++r) {
        const size_t a = static_cast<size_t>(a_word) * job.rows + r;
        const size_t b = static_cast<size_t>(job.b_words[c]) * job.rows + r;
        const int32_t exponent = job.exponent[a] + job.exponent[b];
        const Wide dot = DotLanes<Magnitude, Product, Wide>(job.decoded + a * job.group_bytes,
                                                            job.decoded + b * job.group_bytes,
                                                            lanes, job.left, job.right);
        Sum sum;
        sum.mantissa = static_cast<Signed>(dot);
        sum.exponent = exponent & (kPoison - 1);
        sum.nan = exponent >= kPoison;
        total = r == 0 ? sum : MergeSums(total, sum, job.acc_bits);
      }
      *entry = MergeSums(job.initialise ? Sum{} : *entry, total, job.acc_bits);
    }
  }
}

VT_INLINE int64_t DotFixed(const uint8_t* a, const uint8_t* b, int lanes) {
  const auto* x = reinterpret_cast<const int16_t*>(a);
  const auto* w = reinterpret_cast<const int16_t*>(b);
  int64_t sum = 0;
  for (int i = 0; i < lanes; ++i) sum += int32_t{x[i]} * int32_t{w[i]};
  return sum;
}

// In units of the sum; what falls off sets the last bit.
VT_INLINE int64_t Placed(int64_t dot, int up, int down) {
  const int64_t cut = dot & ((int64_t{1} << down) - 1);
  return (dot << up) >> down | (cut != 0 ? 1 : 0);
}

template <bool kGuarded>
VT_INLINE void RunFixedJob(const Job& job, int lanes) {
  Sum* entry = job.entries;
  for (const uint32_t a_word : job.a_words) {
    for (const uint32_t b_word : job.b_words) {
      int64_t total = 0;
      for (int r = 0; r < job.rows; ++r) {
        const size_t a = static_cast<size_t>(a_word) * job.rows + r;
        const size_t b = static_cast<size_t>(b_word) * job.rows + r;
        int64_t dot =
            DotFixed(job.decoded + a * job.group_bytes, job.decoded + b * job.group_bytes, lanes);
        if constexpr (kGuarded) dot = Placed(dot, job.up, job.down);
        total = AddSaturating(total, dot, job.acc_bits);
      }
      const int64_t before = job.initialise ? 0 : entry->mantissa;
      *entry = {AddSaturating(before, total, job.acc_bits), job.fixed_exponent, false};
      ++entry;
    }
  }
}

VT_VECTOR_CLONES void RunFixedLanes16(const Job& job) { RunFixedJob<false>(job, 16); }
VT_VECTOR_CLONES void RunFixed(const Job& job) { RunFixedJob<false>(job, job.lanes); }
VT_VECTOR_CLONES void RunGuardedLanes16(const Job& job) { RunFixedJob<true>(job, 16); }
VT_VECTOR_CLONES void RunGuarded(const Job& job) { RunFixedJob<true>(job, job.lanes); }

// Loops over 16 lanes of bf16 are worth a constant count.
VT_VECTOR_CLONES void RunBf16Lanes16(const Job& job) {
  RunJob<uint16_t, uint16_t, uint32_t>(job, 16);
}
VT_VECTOR_CLONES void RunBf16(const Job& job) {
  RunJob<uint16_t, uint16_t, uint32_t>(job, job.lanes);
}
VT_VECTOR_CLONES void RunBf16Wide(const Job& job) {
  RunJob<uint16_t, uint16_t, uint64_t>(job, job.lanes);
}
VT_VECTOR_CLONES void RunFp16(const Job& job) {
  RunJob<uint16_t, uint32_t, uint32_t>(job, job.lanes);
}
VT_VECTOR_CLONES void RunFp16Wide(const Job& job) {
  RunJob<uint16_t, uint32_t, uint64_t>(job, job.lanes);
}
VT_VECTOR_CLONES void RunFp32(const Job& job) {
  RunJob<uint32_t, uint64_t, uint64_t>(job, job.lanes);
}

uint32_t ReadOperand(const uint8_t* bytes, int operand_bytes) {
  uint32_t bits = bytes[0] | bytes[1] << 8;
  if (operand_bytes == 4) bits |= static_cast<uint32_t>(bytes[2] | bytes[3] << 8) << 16;
  return bits;
}

// Writes a decoded group; returns its exponent, with kPoison where its NaN flag is set.
template <typename Magnitude>
int32_t DecodeGroup(const DotFormat& format, std::span<const uint32_t> bits, uint8_t* decoded) {
  uint32_t largest = 0;
  for (const uint32_t b : bits) largest = std::max(largest, Split(b, format.man_bits).exponent);
  const uint32_t most = (1u << format.ShBits()) - 1;
  uint8_t* shifts = decoded + bits.size() * sizeof(Magnitude);
  uint8_t* signs = shifts + bits.size();
  for (size_t i = 0; i < bits.size(); ++i) {
    const Operand operand = Split(bits[i], format.man_bits);
    const Magnitude magnitude = static_cast<Magnitude>(operand.magnitude);
    std::memcpy(decoded + i * sizeof(Magnitude), &magnitude, sizeof(Magnitude));
    shifts[i] = static_cast<uint8_t>(std::min(largest - operand.exponent, most));
    signs[i] = operand.negative ? 0xff : 0;
  }
  return static_cast<int32_t>(largest) + (largest == 255 ? kPoison : 0);
}

size_t GroupBytes(const DotFormat& format) {
  const size_t marks = format.IsFixed() ? 0 : 2;
  const size_t bytes = (format.OperandBytes() + marks) * static_cast<size_t>(format.lanes);
  return (bytes + 7) / 8 * 8;
}

int32_t Decode(const DotFormat& format, std::span<const uint32_t> bits, uint8_t* decoded) {
  if (format.IsFixed()) {
    for (const uint32_t b : bits) {
      const auto operand = static_cast<int16_t>(b);
      std::memcpy(decoded, &operand, sizeof operand);
      decoded += sizeof operand;
    }
    return 0;
  }
  if (format.man_bits == 10) {
    std::vector<uint32_t> wide;
    for (const uint32_t b : bits) {
      const uint32_t exponent = b >> 10 & 0x1F;
      const uint32_t moved = exponent == 0 ? 0 : exponent == 0x1F ? 0xFF : exponent + 112;
      wide.push_back((b & 0x8000) << 3 | moved << 10 | (b & 0x3FF));
    }
    return DecodeGroup<uint16_t>(format, wide, decoded);
  }
  return format.man_bits == 7 ? DecodeGroup<uint16_t>(format, bits, decoded)
                              : DecodeGroup<uint32_t>(format, bits, decoded);
}

void RunAny(const DotFormat& format, Job& job, bool low) {
  job.group_bytes = GroupBytes(format);
  job.lanes = format.lanes;
  job.acc_bits = format.AccBits();
  job.left = std::max(0, format.align_bits - format.ProdBits());
  job.right = std::max(0, format.ProdBits() - format.align_bits);
  job.fixed_exponent = format.FixedExponent();
  if (format.guard_bits != 0) {
    job.up = low ? 0 : format.guard_bits;
    job.down = low ? 16 - format.guard_bits : 0;
    if (format.lanes == 16) {
      RunGuardedLanes16(job);
    } else {
      RunGuarded(job);
    }
  } else if (format.IsFixed()) {
    if (format.lanes == 16) {
      RunFixedLanes16(job);
    } else {
      RunFixed(job);
    }
  } else if (format.man_bits == 23) {
    RunFp32(job);
  } else if (format.man_bits == 10) {
    if (format.AccBits() > 32) {
      RunFp16Wide(job);
    } else {
      RunFp16(job);
    }
  } else if (format.AccBits() > 32) {
    RunBf16Wide(job);
  } else if (format.lanes == 16) {
    RunBf16Lanes16(job);
  } else {
    RunBf16(job);
  }
}

}  // namespace

int DotFormat::ManBits(NumberFormat format) {
  switch (format) {
    case NumberFormat::kBf16:
      return 7;
    case NumberFormat::kFx16:
      return 15;
    case NumberFormat::kFp16:
      return 10;
    case NumberFormat::kFp32:
      break;
  }
  return 23;
}

void DotFormat::Check() const {
  if (lanes < 1 || lanes > 256) throw std::invalid_argument("lanes must be 1 to 256");
  if (man_bits != 7 && man_bits != 10 && man_bits != 15 && man_bits != 23) {
    throw std::invalid_argument("man_bits must be 7, 10, 15 or 23");
  }
  if (fraction_bits < 0 || fraction_bits > 15 || (fraction_bits != 0 && !IsFixed())) {
    throw std::invalid_argument("fraction_bits must be 0 to 15, 0 but for fx16");
  }
  if (guard_bits < 0 || guard_bits > 15 || (guard_bits != 0 && !IsFixed())) {
    throw std::invalid_argument("guard_bits must be 0 to 15, 0 but for fx16");
  }
  if (IsFixed() && (align_bits < 31 + guard_bits || AccBits() > 63)) {
    throw std::invalid_argument(
        "align_bits of fx16 must be 31 and guard_bits or more, its sums of 63 bits");
  }
  if (align_bits < 8 || align_bits > 52) {
    throw std::invalid_argument("align_bits must be 8 to 52");
  }
}

Sum DotGroup(const DotFormat& format, std::span<const uint32_t> a, std::span<const uint32_t> b,
             bool low) {
  format.Check();
  const size_t lanes = static_cast<size_t>(format.lanes);
  if (a.size() != lanes || b.size() != lanes) {
    throw std::invalid_argument("a group has as many operands as there are lanes");
  }
  const size_t group_bytes = GroupBytes(format);
  std::vector<uint8_t> decoded(2 * group_bytes);
  const int32_t exponent[2] = {Decode(format, a, decoded.data()),
                               Decode(format, b, decoded.data() + group_bytes)};
  const uint32_t words[2] = {0, 1};
  // Merged with (E = 0, M = 0) a dot product stays what it is.
  Sum sum;
  Job job{};
  job.decoded = decoded.data();
  job.exponent = exponent;
  job.rows = 1;
  job.a_words = std::span(words, 1);
  job.b_words = std::span(words + 1, 1);
  job.initialise = true;
  job.entries = &sum;
  RunAny(format, job, low);
  return sum;
}

Sum Merge(const DotFormat& format, const Sum& a, const Sum& b) {
  if (format.IsFixed()) {
    return {AddSaturating(a.mantissa, b.mantissa, format.AccBits()), format.FixedExponent(), false};
  }
  return MergeSums(a, b, format.AccBits());
}

PeArray::PeArray(const DotFormat& format, int rows, size_t words, const uint8_t* scratchpad)
    : format_(format), rows_(rows), words_(words), scratchpad_(scratchpad) {
  format.Check();
  if (rows < 1 || words < 1) throw std::invalid_argument("a PE array has rows and words");
  word_bytes_ = static_cast<size_t>(rows) * format.lanes * format.OperandBytes();
  group_bytes_ = GroupBytes(format);
  valid_.resize(words);
  decoded_.resize(words * rows * group_bytes_);
  exponent_.resize(words * rows);
}

void PeArray::Invalidate(size_t begin, size_t end) {
  if (begin >= end) return;
  const size_t first = begin / word_bytes_;
  const size_t last = (end - 1) / word_bytes_;
  std::fill(valid_.begin() + first, valid_.begin() + last + 1, uint8_t{0});
}

void PeArray::DecodeWord(size_t word) {
  std::vector<uint32_t>& bits = operands_;
  const int operand_bytes = format_.OperandBytes();
  for (int r = 0; r < rows_; ++r) {
    const size_t group = word * rows_ + r;
    const uint8_t* bytes = scratchpad_ + group * format_.lanes * operand_bytes;
    bits.clear();
    for (int i = 0; i < format_.lanes; ++i) {
      bits.push_back(ReadOperand(bytes + i * operand_bytes, operand_bytes));
    }
    exponent_[group] = Decode(format_, bits, decoded_.data() + group * group_bytes_);
  }
  valid_[word] = 1;
}

void PeArray::Run(uint16_t a_word, uint16_t a_step, uint32_t count,
                  std::span<const uint32_t> b_words, bool initialise, Sum* entries, bool low) {
  a_words_.clear();
  for (uint32_t i = 0; i < count; ++i, a_word = static_cast<uint16_t>(a_word + a_step)) {
    a_words_.push_back(static_cast<uint32_t>(a_word % words_));
  }
  for (const uint32_t word : a_words_) {
    if (!valid_[word]) DecodeWord(word);
  }
  for (const uint32_t word : b_words) {
    if (!valid_[word]) DecodeWord(word);
  }
  Job job{};
  job.decoded = decoded_.data();
  job.exponent = exponent_.data();
  job.rows = rows_;
  job.a_words = a_words_;
  job.b_words = b_words;
  job.initialise = initialise;
  job.entries = entries;
  RunAny(format_, job, low);
}

}  // namespace vaultrain::golden
