// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "golden/lanes.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "golden/fp32.h"
#include "vaultrain/lane_program.h"

namespace vaultrain::golden {
namespace {

using lanes::FieldId;
using lanes::Op;

constexpr uint32_t kSign = 0x80000000;
constexpr uint32_t kOne = 0x3F800000;
constexpr uint32_t kInfinity = 0x7F800000;
constexpr uint64_t kAddressMask = (uint64_t{1} << 24) - 1;
constexpr long double kLn2 = 0.693147180559945309417232121458176568L;

bool IsNan(uint32_t x) { return (x & ~kSign) > kInfinity; }
bool IsZero(uint32_t x) { return (x & kInfinity) == 0; }

// a > b, neither being a NaN.
bool Exceeds(uint32_t a, uint32_t b) {
  const auto key = [](uint32_t x) {
    if (IsZero(x)) return int64_t{0};
    const auto magnitude = static_cast<int64_t>(x & ~kSign);
    return x & kSign ? -magnitude : magnitude;
  };
  return !IsNan(a) && !IsNan(b) && key(a) > key(b);
}

bool Equals(uint32_t a, uint32_t b) {
  return !IsNan(a) && !IsNan(b) && !Exceeds(a, b) && !Exceeds(b, a);
}

uint32_t Canonical(uint32_t x) {
  if (IsNan(x)) return kFp32Nan;
  return IsZero(x) ? x & kSign : x;
}

enum Table { kTableExp2, kTableLog2, kTableRecip, kTableRsqrt, kTableRsqrtOdd };

const LaneSegment& SegmentOf(Table table, uint32_t fraction) {
  static const auto kTables = [] {
    std::array<std::array<LaneSegment, 64>, kLaneTables> all{};
    for (int t = 0; t < kLaneTables; ++t) {
      for (int s = 0; s < 64; ++s) all[t][s] = LaneTable(t, s);
    }
    return all;
  }();
  return kTables[table][fraction >> 17];
}

// What the terms above c0 add at a fraction of 23 bits, in units of 2^-29; their slope is inverted,
// bit by bit, where `invert` is -1 and not 0.
int64_t Rise(const LaneSegment& c, uint32_t fraction, int64_t invert = 0) {
  const int64_t u = static_cast<int64_t>(fraction & 0x1FFFF) - 0x10000;
  return ((c.c1 + (c.c2 * u >> 15)) ^ invert) * u >> 18;
}

// The quadratic of a table, in units of 2^-29. Where the fraction is zero it is exact, but for the
// last table.
int64_t Quadratic(Table table, uint32_t fraction) {
  if (fraction == 0 && table != kTableRsqrtOdd)
    return int64_t{1} << (table == kTableExp2 ? 29 : 30);
  const LaneSegment& c = SegmentOf(table, fraction);
  return c.c0 + Rise(c, fraction);
}

struct Parts {
  int exponent;  // of a significand in [1, 2)
  uint32_t fraction;
};

Parts Unpack(uint32_t x) { return {static_cast<int>(x >> 23 & 0xFF) - 127, x & 0x7FFFFF}; }

}  // namespace

LaneSegment LaneTable(int table, int segment) {
  const long double h = 1.0L / 64;
  const long double a = (segment + 0.5L) * h;
  const long double m = 1 + a;
  // The function at the centre, its slope, half its second and its third derivative.
  long double f, f1, f2, f3;
  switch (table) {
    case kTableExp2:
      f = std::exp2(a);
      f1 = kLn2 * f;
      f2 = kLn2 * kLn2 * f / 2;
      f3 = kLn2 * kLn2 * kLn2 * f;
      break;
    case kTableLog2:
      f = std::log(m) / kLn2;
      f1 = 1 / (m * kLn2);
      f2 = -1 / (2 * m * m * kLn2);
      f3 = 2 / (m * m * m * kLn2);
      break;
    case kTableRecip:
      f = 2 / m;
      f1 = -2 / (m * m);
      f2 = 2 / (m * m * m);
      f3 = -12 / (m * m * m * m);
      break;
    default: {
      const long double scale = table == kTableRsqrt ? 2 : std::sqrt(2.0L);
      const long double root = std::sqrt(m);
      f = scale / root;
      f1 = -scale / (2 * m * root);
      f2 = scale * 3 / (8 * m * m * root);
      f3 = -scale * 15 / (8 * m * m * m * root);
    }
  }
  // The cubic term economised into the slope.
  const long double slope = f1 + f3 * h * h / 32;
  return {std::llrint(std::ldexp(f, 29)), std::llrint(std::ldexp(slope, 24)),
          std::llrint(std::ldexp(f2, 16))};
}

// ---- functions

uint32_t LaneExp2(uint32_t x) {
  if (IsNan(x)) return kFp32Nan;
  if (IsZero(x)) return kOne;
  const bool negative = x & kSign;
  const Parts parts = Unpack(x);
  if (parts.exponent > 7) return negative ? 0 : kInfinity;
  // In units of 2^-23, to nearest, ties away from zero.
  const int shift = 7 - parts.exponent;
  const uint64_t twice = shift > 32 ? 0 : (uint64_t{0x800000 | parts.fraction} << 8) >> shift;
  const auto magnitude = static_cast<int64_t>((twice + 1) >> 1);
  const int64_t t = negative ? -magnitude : magnitude;
  const int64_t y = Quadratic(kTableExp2, static_cast<uint32_t>(t & 0x7FFFFF));
  return ScaledIntegerToFp32(y, static_cast<int>(t >> 23) - 29);
}

uint32_t LaneLog2(uint32_t x) {
  if (IsNan(x)) return kFp32Nan;
  if (IsZero(x)) return kSign | kInfinity;
  if (x & kSign) return kFp32Nan;
  if (x == kInfinity) return kInfinity;
  const Parts parts = Unpack(x);
  // Below 1 everything is inverted, which gives the magnitude.
  const int64_t invert = parts.exponent < 0 ? -1 : 0;
  const LaneSegment& c = SegmentOf(kTableLog2, parts.fraction);
  const int64_t whole = int64_t{parts.exponent} * (1 << 29);
  const int64_t magnitude = parts.fraction == 0
                                ? whole ^ invert
                                : ((whole + c.c0) ^ invert) + Rise(c, parts.fraction, invert);
  return ScaledIntegerToFp32(magnitude, -29) | (invert != 0 ? kSign : 0);
}

uint32_t LaneRecip(uint32_t x) {
  if (IsNan(x)) return kFp32Nan;
  const uint32_t sign = x & kSign;
  if (IsZero(x)) return sign | kInfinity;
  if ((x & ~kSign) == kInfinity) return sign;
  const Parts parts = Unpack(x);
  const int64_t y = Quadratic(kTableRecip, parts.fraction);
  return sign | ScaledIntegerToFp32(y, -parts.exponent - 1 - 29);
}

uint32_t LaneRsqrt(uint32_t x) {
  if (IsNan(x)) return kFp32Nan;
  if (IsZero(x)) return kInfinity;
  if (x & kSign) return kFp32Nan;
  if (x == kInfinity) return 0;
  const Parts parts = Unpack(x);
  const bool odd = parts.exponent & 1;
  const int64_t y = Quadratic(odd ? kTableRsqrtOdd : kTableRsqrt, parts.fraction);
  return ScaledIntegerToFp32(y, -((parts.exponent - odd) / 2) - 1 - 29);
}

// ---- jobs

namespace {

// One job as it goes through its program.
class LaneRun {
 public:
  LaneRun(const isa::Descriptor& d, const LaneJob& job)
      : job_(job),
        cols_(static_cast<size_t>(job.cols)),
        groups_(static_cast<size_t>(d.Get(isa::FieldId::kLGroups))),
        operand_bytes_(static_cast<size_t>(job.operand.Bytes())),
        values_(lanes::kRegisters * groups_ * cols_) {
    for (int l = 0; l < job.cols; ++l) states_.push_back(NoiseSeed(l, 0));
    for (size_t s = 0; s < at_.size(); ++s) {
      at_[s] = static_cast<uint64_t>(d.Get(isa::FieldId::kLBase, static_cast<int>(s)));
      for (size_t k = 0; k < isa::kLaneLoops; ++k) {
        inc_[s][k] =
            SlotBytes(d.Get(isa::FieldId::kLInc, static_cast<int>(s * isa::kLaneLoops + k)));
      }
    }
    init_ = static_cast<size_t>(d.Get(isa::FieldId::kLInit));
    body_ = static_cast<size_t>(d.Get(isa::FieldId::kLBody));
    level_ = static_cast<int>(d.Get(isa::FieldId::kLLevel));
    for (int k = 0; k < isa::kLaneLoops - 1; ++k) bound_[k] = d.Get(isa::FieldId::kLBound, k);
    std::vector<uint8_t> bytes(4 *
                               (init_ + body_ + static_cast<size_t>(d.Get(isa::FieldId::kLFinal))));
    job.read(static_cast<uint64_t>(d.Get(isa::FieldId::kLProgram)) * job.word_bytes, bytes);
    for (size_t i = 0; i < bytes.size(); i += 4) program_.push_back(Get32(bytes.data() + i));
  }

  void Run() {
    for (;;) {
      bool first = true;
      bool last = true;
      for (int k = 0; k < level_; ++k) {
        first = first && index_[k] == 0;
        last = last && index_[k] + 1 == bound_[k];
      }
      const size_t end = last ? program_.size() : init_ + body_;
      for (size_t pc = first ? 0 : init_; pc < end; ++pc) {
        const uint32_t word = program_[pc];
        if (lanes::Get(word, FieldId::kOp) == static_cast<int>(Op::kLdi)) ++pc;
        Carry(word, pc < program_.size() ? program_[pc] : 0);
      }
      int k = 0;
      while (k < 3 && ++index_[k] == bound_[k]) index_[k++] = 0;
      if (k == 3) return;
      for (size_t s = 0; s < at_.size(); ++s) at_[s] = (at_[s] + inc_[s][k + 1]) & kAddressMask;
    }
  }

 private:
  static uint32_t Get32(const uint8_t* bytes) {
    return static_cast<uint32_t>(bytes[0]) | static_cast<uint32_t>(bytes[1]) << 8 |
           static_cast<uint32_t>(bytes[2]) << 16 | static_cast<uint32_t>(bytes[3]) << 24;
  }
  static void Put(uint8_t* bytes, uint32_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
  }

  uint64_t SlotBytes(int64_t slots) const {
    return static_cast<uint64_t>(slots) * cols_ * operand_bytes_;
  }
  uint32_t& At(int reg, size_t group, size_t lane) {
    return values_[(static_cast<size_t>(reg) * groups_ + group) * cols_ + lane];
  }
  uint32_t Step(size_t lane) { return states_[lane] = NoiseStep(states_[lane]); }

  // Carries out an instruction over all groups.
  void Carry(uint32_t word, uint32_t constant) {
    const auto op = static_cast<Op>(lanes::Get(word, FieldId::kOp));
    const int d = lanes::Get(word, FieldId::kDst);
    const int a = lanes::Get(word, FieldId::kA);
    const int b = lanes::Get(word, FieldId::kB);
    const int c = lanes::Get(word, FieldId::kC);
    switch (op) {
      case Op::kNop:
        return;
      case Op::kStw:
      case Op::kSto:
      case Op::kStr:
      case Op::kStm:
        return Store(word, a, d, op);
      case Op::kMove:
        return Move(word, d, a);
      default:
        break;
    }
    const auto taken = op == Op::kMad ? static_cast<lanes::Taken>(lanes::Get(word, FieldId::kTaken))
                                      : lanes::Taken::kNothing;
    const bool loads = IsLoad(op) || taken != lanes::Taken::kNothing;
    std::vector<uint32_t> loaded(cols_);
    for (size_t g = 0; g < groups_; ++g) {
      if (loads) LoadGroup(word, op, g, loaded);
      for (size_t l = 0; l < cols_; ++l) {
        const bool first = taken == lanes::Taken::kA || taken == lanes::Taken::kAAndB;
        const uint32_t x = first ? loaded[l] : At(a, g, l);
        const uint32_t y = taken == lanes::Taken::kAAndB ? loaded[l] : At(b, g, l);
        const uint32_t z = taken == lanes::Taken::kC ? loaded[l] : At(c, g, l);
        if (op == Op::kSeed) {
          states_[l] = NoiseSeed(static_cast<int>(l), x);
          continue;
        }
        uint32_t result = 0;
        switch (op) {
          case Op::kMad: {
            const uint32_t product =
                Fp32Mul(x ^ (lanes::Get(word, FieldId::kNegProduct) ? kSign : 0),
                        lanes::Get(word, FieldId::kOne) ? kOne : y);
            const uint32_t addend = lanes::Get(word, FieldId::kNoC) ? kSign : z;
            const bool negate =
                lanes::Get(word, FieldId::kNegC) && !lanes::Get(word, FieldId::kNoC);
            result = Fp32Add(product, addend ^ (negate ? kSign : 0));
            break;
          }
          case Op::kMax:
            result = IsNan(x) || Exceeds(x, y) ? x : y;
            break;
          case Op::kMin:
            result = IsNan(x) || Exceeds(y, x) ? x : y;
            break;
          case Op::kGt:
            result = Exceeds(x, y) ? kOne : 0;
            break;
          case Op::kGe:
            result = Exceeds(x, y) || Equals(x, y) ? kOne : 0;
            break;
          case Op::kEq:
            result = Equals(x, y) ? kOne : 0;
            break;
          case Op::kSel:
            result = Fp32IsPositive(x) ? y : z;
            break;
          case Op::kLdw:
          case Op::kLdo:
            result = loaded[l];
            break;
          case Op::kLaw:
          case Op::kLao:
            result = Fp32Add(loaded[l], x);
            break;
          case Op::kLmw:
          case Op::kLmo:
            result = Fp32Mul(loaded[l], x);
            break;
          case Op::kLdi:
            result = constant;
            break;
          case Op::kLdh:
            result = static_cast<uint32_t>(lanes::Get(word, FieldId::kHigh)) << 16;
            break;
          case Op::kScl:
            result = job_.scalars[static_cast<size_t>(lanes::Get(word, FieldId::kScalar))];
            break;
          case Op::kIota:
            result = ScaledIntegerToFp32(static_cast<int64_t>(l + g * cols_), 0);
            break;
          case Op::kRnd:
            result = ScaledIntegerToFp32(Step(l) >> 9, -23);
            break;
          case Op::kEx2:
            result = LaneExp2(x);
            break;
          case Op::kLg2:
            result = LaneLog2(x);
            break;
          case Op::kRcp:
            result = LaneRecip(x);
            break;
          case Op::kRsq:
            result = LaneRsqrt(x);
            break;
          default:
            return;  // not an operation
        }
        At(d, g, l) = Canonical(result);
      }
    }
  }

  static bool IsLoad(Op op) {
    return op == Op::kLdw || op == Op::kLdo || (op >= Op::kLaw && op <= Op::kLmo);
  }

  // Address of a group of an access of `bytes`, which ignores the bits below that size.
  uint64_t AddressOf(size_t stream, int offset, size_t group, uint64_t bytes) const {
    const uint64_t address = at_[stream] + SlotBytes(offset) + group * inc_[stream][0];
    return (address & kAddressMask) / bytes * bytes;
  }

  // What a load, or a mad that takes from a stream, has of it.
  void LoadGroup(uint32_t word, Op op, size_t group, std::vector<uint32_t>& loaded) {
    const bool mad = op == Op::kMad;
    const bool wide = mad ? lanes::Get(word, FieldId::kTakenWide) != 0
                          : op == Op::kLdw || op == Op::kLaw || op == Op::kLmw;
    const auto stream =
        static_cast<size_t>(lanes::Get(word, mad ? FieldId::kTakenStream : FieldId::kStream));
    const size_t size = wide ? 4 : operand_bytes_;
    bytes_.resize(cols_ * size);
    const int offset = mad ? 0 : lanes::Get(word, FieldId::kOffset);
    job_.read(AddressOf(stream, offset, group, bytes_.size()), bytes_);
    for (size_t l = 0; l < cols_; ++l) {
      const uint8_t* from = bytes_.data() + l * size;
      loaded[l] = Canonical(
          wide || size == 4
              ? Get32(from)
              : OperandToFp32(job_.operand, static_cast<uint32_t>(from[0] | from[1] << 8)));
    }
  }

  void Store(uint32_t word, int a, int mask, Op op) {
    const auto stream = static_cast<size_t>(lanes::Get(word, FieldId::kStream));
    const size_t size = op == Op::kStw ? 4 : operand_bytes_;
    bytes_.resize(cols_ * size);
    for (size_t g = 0; g < groups_; ++g) {
      for (size_t l = 0; l < cols_; ++l) {
        const bool masked = op == Op::kStm && !IsNan(At(mask, g, l)) && !Exceeds(At(mask, g, l), 0);
        const uint32_t x = masked ? 0 : At(a, g, l);
        const bool random = op == Op::kStr;
        const uint32_t noise = random ? Step(l) >> 16 : 0;
        const Rounding rounding = random ? Rounding::kStochastic : Rounding::kNearest;
        const uint32_t value = op == Op::kStw ? x : ToOperand(job_.operand, x, rounding, noise);
        Put(bytes_.data() + l * size, value, size);
      }
      job_.write(AddressOf(stream, lanes::Get(word, FieldId::kOffset), g, bytes_.size()), bytes_);
    }
  }

  void Move(uint32_t word, int d, int a) {
    const int lane_mode = lanes::Get(word, FieldId::kLaneMode);
    const auto n = static_cast<size_t>(lanes::Get(word, FieldId::kLaneShift));
    const int group_mode = lanes::Get(word, FieldId::kGroupMode);
    const auto shift = static_cast<size_t>(lanes::Get(word, FieldId::kGroupShift));
    const size_t begin = static_cast<size_t>(a) * groups_ * cols_;
    const std::vector<uint32_t> from(
        values_.begin() + static_cast<std::ptrdiff_t>(begin),
        values_.begin() + static_cast<std::ptrdiff_t>(begin + groups_ * cols_));
    for (size_t g = 0; g < groups_; ++g) {
      const size_t source = group_mode >= 2 ? shift : g + shift;
      for (size_t l = 0; l < cols_; ++l) {
        const size_t lane = (lane_mode == 0 ? l + n : lane_mode == 1 ? l ^ n : n) % cols_;
        At(d, g, l) = group_mode == 0 && source >= groups_
                          ? 0
                          : from[std::min(source, groups_ - 1) * cols_ + lane];
      }
    }
  }

  const LaneJob& job_;
  size_t cols_, groups_, operand_bytes_;
  std::vector<uint32_t> values_;  // [register][group][lane]
  std::vector<uint32_t> states_;
  std::vector<uint8_t> bytes_;  // of an access
  std::vector<uint32_t> program_;
  size_t init_ = 0, body_ = 0;
  int level_ = 0;
  std::array<int64_t, 3> bound_{}, index_{};
  std::array<uint64_t, isa::kLaneStreams> at_{};
  std::array<std::array<uint64_t, isa::kLaneLoops>, isa::kLaneStreams> inc_{};
};

}  // namespace

void RunLanes(const isa::Descriptor& d, const LaneJob& job) { LaneRun(d, job).Run(); }

}  // namespace vaultrain::golden
