// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Lane programs: the instructions of LANES, their table and their assembler.
//
// The lane engine has as many lanes as the PE array has columns, and 16 registers of up to 16
// groups of one fp32 value a lane. An instruction is carried out over all groups, in order, and
// reads all its operands before it writes. Registers are +0 at the start of a job. Values that come
// from the scratchpad and results of any kind follow rtl_templates/vector/README.md: subnormals
// are zeros of their sign, every NaN is 7FC00000.
//
// Streams: slot `offset` of a stream is Cols operands, counted from where the outer loops left the
// stream, and every group is inc[0] slots further. A wide access takes Cols fp32 values and ignores
// address bits below that size. A load sees all earlier stores of its job.
//
// Every 32-bit word is an instruction; those of no known op do nothing. The tables below are the
// only definition: rtl_templates/lanes/vt_lane_isa.vh, the accessors and the document come from
// them.

#ifndef VAULTRAIN_LANE_PROGRAM_H_
#define VAULTRAIN_LANE_PROGRAM_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vaultrain/isa.h"

namespace vaultrain::lanes {

inline constexpr int kRegisters = 16;

// X(name, lsb, bits, sign, meaning)
#define VT_LANE_FIELDS(X)                                                                       \
  X(Op, 0, 6, U, "operation")                                                                   \
  X(Dst, 6, 4, U, "register d that is written")                                                 \
  X(A, 10, 4, U, "register a")                                                                  \
  X(B, 14, 4, U, "register b")                                                                  \
  X(C, 18, 4, U, "register c")                                                                  \
  X(NegProduct, 22, 1, U, "mad: the product changes its sign")                                  \
  X(NegC, 23, 1, U, "mad: c changes its sign")                                                  \
  X(One, 24, 1, U, "mad: b is 1")                                                               \
  X(NoC, 25, 1, U, "mad: c is -0, which adds nothing")                                          \
  X(Taken, 26, 2, U,                                                                            \
    "mad: what the stream's values stand for: nothing (0), a (1), a and b (2), c (3)")          \
  X(TakenStream, 28, 2, U, "mad: the stream, whose offset is 0")                                \
  X(TakenWide, 30, 1, U, "mad: its values are fp32 (1) or operands (0)")                        \
  X(GroupMode, 14, 2, U,                                                                        \
    "move: from group g + n, +0 beyond the last (0); g + n, the last beyond it (1); n, or the " \
    "last (2, 3)")                                                                              \
  X(LaneMode, 16, 2, U, "move: from lane l + n, modulo Cols (0); l xor n (1); n (2, 3)")        \
  X(LaneShift, 22, 4, U, "move: n of the lanes, modulo Cols")                                   \
  X(GroupShift, 26, 4, U, "move: n of the groups")                                              \
  X(Scalar, 22, 3, U, "scl: scalar register of the host")                                       \
  X(Stream, 14, 2, U, "loads and stores: stream")                                               \
  X(Offset, 16, 16, S, "loads and stores: slots from where the stream is")                      \
  X(High, 16, 16, U, "ldh: upper half of the constant")

// X(name, number, operands, meaning); operands: d, a, b, c registers, then what else is used.
#define VT_LANE_OPS(X)                                                                             \
  X(Nop, 0, "", "nothing")                                                                         \
  X(Mad, 1, "dabc neg", "d = +-(a * b) +- c; the product is rounded, then the sum")                \
  X(Max, 2, "dab", "d = the larger of a and b, b if they are equal; NaN if one is")                \
  X(Min, 3, "dab", "d = the smaller, b if they are equal; NaN if one is")                          \
  X(Gt, 4, "dab", "d = a > b ? 1 : 0")                                                             \
  X(Ge, 5, "dab", "d = a >= b ? 1 : 0")                                                            \
  X(Eq, 6, "dab", "d = a == b ? 1 : 0")                                                            \
  X(Sel, 7, "dabc", "d = a > 0 ? b : c")                                                           \
  X(Ldw, 8, "d stream", "d = fp32 values of the stream")                                           \
  X(Ldo, 9, "d stream", "d = operands of the stream, exactly")                                     \
  X(Stw, 10, "a stream", "stores a as fp32")                                                       \
  X(Sto, 11, "a stream", "stores a as operands, to nearest, ties to even")                         \
  X(Str, 12, "a stream", "stores a as operands, rounded at random; the generator steps")           \
  X(Ldi, 13, "d word", "d = the next word of the program, which is no instruction; +0 at the end") \
  X(Ldh, 14, "d high", "d = a constant whose lower half is zero")                                  \
  X(Scl, 15, "d scalar", "d = a scalar register of the host")                                      \
  X(Move, 16, "da move", "d = a, from other lanes or groups")                                      \
  X(Iota, 17, "d", "d = lane + group * Cols")                                                      \
  X(Rnd, 18, "d", "d = a multiple of 2^-23 in [0, 1) at random; the generator steps")              \
  X(Seed, 19, "a", "restarts the generator of each lane from its bits of a; the last group stays") \
  X(Ex2, 20, "da", "d = 2^a")                                                                      \
  X(Lg2, 21, "da", "d = log2 a; -infinity of zeros, NaN of what is below")                         \
  X(Rcp, 22, "da", "d = 1 / a; zeros and infinities change places")                                \
  X(Rsq, 23, "da", "d = 1 / sqrt a; +infinity of zeros, NaN of what is below")                     \
  X(Law, 24, "da stream", "d = fp32 values of the stream + a")                                     \
  X(Lao, 25, "da stream", "d = operands of the stream + a")                                        \
  X(Lmw, 26, "da stream", "d = fp32 values of the stream * a")                                     \
  X(Lmo, 27, "da stream", "d = operands of the stream * a")                                        \
  X(Stm, 28, "da stream", "stores a as operands, to nearest; +0 where d is a zero or below")

enum class Op : uint8_t {
#define VT_X(name, number, ...) k##name = number,
  VT_LANE_OPS(VT_X)
#undef VT_X
};

enum class FieldId : int {
#define VT_X(name, ...) k##name,
  VT_LANE_FIELDS(VT_X)
#undef VT_X
};

struct Field {
  const char* name;
  int lsb;
  int bits;
  bool is_signed;
  const char* meaning;
};

struct OpInfo {
  const char* name;
  Op op;
  const char* operands;
  const char* meaning;
};

std::span<const Field> Fields();
std::span<const OpInfo> Ops();

// Get and Set work on any word; Set throws std::out_of_range if the value does not fit.
int32_t Get(uint32_t word, FieldId id);
void Set(uint32_t& word, FieldId id, int64_t value);

// What the values of a stream stand for in a mad.
enum class Taken : uint8_t { kNothing = 0, kA = 1, kAAndB = 2, kC = 3 };
// Written for a register that the stream stands in for.
inline constexpr int kStreamed = 0;

// How a move takes groups and lanes from elsewhere.
enum class GroupMode : uint8_t { kShiftZero = 0, kShiftLast = 1, kFixed = 2 };
enum class LaneMode : uint8_t { kRotate = 0, kXor = 1, kFixed = 2 };

// Instructions in a row. Register numbers are 0 to 15; a number that does not fit throws
// std::out_of_range.
class Section {
 public:
  // d = a * b + c, with the signs of the product and of c.
  Section& Mad(int d, int a, int b, int c, bool neg_product = false, bool neg_c = false);
  Section& Mul(int d, int a, int b, bool negate = false);
  Section& Add(int d, int a, int b);
  Section& Sub(int d, int a, int b);
  Section& Neg(int d, int a);
  Section& Copy(int d, int a);
  Section& Max(int d, int a, int b) { return Three(Op::kMax, d, a, b); }
  Section& Min(int d, int a, int b) { return Three(Op::kMin, d, a, b); }
  Section& Gt(int d, int a, int b) { return Three(Op::kGt, d, a, b); }
  Section& Ge(int d, int a, int b) { return Three(Op::kGe, d, a, b); }
  Section& Eq(int d, int a, int b) { return Three(Op::kEq, d, a, b); }
  Section& Sel(int d, int a, int b, int c) { return Three(Op::kSel, d, a, b, c); }
  Section& LoadWide(int d, int stream, int offset = 0) {
    return Memory(Op::kLdw, d, 0, stream, offset);
  }
  Section& LoadOperand(int d, int stream, int offset = 0) {
    return Memory(Op::kLdo, d, 0, stream, offset);
  }
  // d = the values + a.
  Section& AddWide(int d, int a, int stream, int offset = 0) {
    return Memory(Op::kLaw, d, a, stream, offset);
  }
  Section& AddOperand(int d, int a, int stream, int offset = 0) {
    return Memory(Op::kLao, d, a, stream, offset);
  }
  // d = the values * a.
  Section& MulWide(int d, int a, int stream, int offset = 0) {
    return Memory(Op::kLmw, d, a, stream, offset);
  }
  Section& MulOperand(int d, int a, int stream, int offset = 0) {
    return Memory(Op::kLmo, d, a, stream, offset);
  }
  // The mad before this takes values of a stream for some of its registers.
  Section& TakeWide(Taken taken, int stream) { return Take(taken, stream, true); }
  Section& TakeOperands(Taken taken, int stream) { return Take(taken, stream, false); }
  Section& StoreWide(int a, int stream, int offset = 0) {
    return Memory(Op::kStw, 0, a, stream, offset);
  }
  Section& StoreOperand(int a, int stream, int offset = 0) {
    return Memory(Op::kSto, 0, a, stream, offset);
  }
  // +0 where `mask` is a zero or below.
  Section& StoreMasked(int a, int mask, int stream, int offset = 0) {
    return Memory(Op::kStm, mask, a, stream, offset);
  }
  Section& StoreRandom(int a, int stream, int offset = 0) {
    return Memory(Op::kStr, 0, a, stream, offset);
  }
  // One word if the lower half of its bits is zero, else two.
  Section& Constant(int d, float value);
  Section& Scalar(int d, int index);
  Section& Move(int d, int a, LaneMode lane_mode, int lanes, GroupMode group_mode, int groups);
  Section& Iota(int d) { return Three(Op::kIota, d, 0, 0); }
  Section& Rnd(int d) { return Three(Op::kRnd, d, 0, 0); }
  Section& Seed(int a) { return Three(Op::kSeed, 0, a, 0); }
  Section& Exp2(int d, int a) { return Three(Op::kEx2, d, a, 0); }
  Section& Log2(int d, int a) { return Three(Op::kLg2, d, a, 0); }
  Section& Recip(int d, int a) { return Three(Op::kRcp, d, a, 0); }
  Section& Rsqrt(int d, int a) { return Three(Op::kRsq, d, a, 0); }
  // d = a summed over all lanes, in a tree, the same in each.
  Section& SumLanes(int d, int a, int scratch, int cols);
  // The largest of all lanes, the same in each.
  Section& MaxLanes(int d, int a, int scratch, int cols);
  Section& Word(uint32_t word);

  const std::vector<uint32_t>& words() const { return words_; }

 private:
  template <typename Combine>
  Section& OverLanes(int d, int a, int scratch, int cols, Combine combine);
  Section& Three(Op op, int d, int a, int b, int c = 0);
  Section& Memory(Op op, int d, int a, int stream, int offset);
  Section& Take(Taken taken, int stream, bool wide);

  std::vector<uint32_t> words_;
};

struct Program {
  Section init, body, final;
  bool keeps_zeros = true;  // of nothing but zeros it makes zeros

  // As they lie in the scratchpad.
  std::vector<uint32_t> Words() const;
};

// Where a stream goes: strides in slots, the groups first.
struct Stream {
  uint32_t base = 0;
  std::array<int64_t, isa::kLaneLoops> strides{};
};

// The loops of a job around its program.
struct Job {
  int groups = 1;
  std::array<int64_t, isa::kLaneLoops - 1> bounds = {1, 1, 1};
  int level = 0;
  std::array<Stream, isa::kLaneStreams> streams;
};

// LANES without its header. Throws std::out_of_range if something does not fit.
isa::Descriptor MakeDescriptor(const Program& program, uint32_t program_word, const Job& job);

// "mad d3 a1 b2 c0 neg", one word; a constant that follows ldi is not known here.
std::string ToText(uint32_t word);

// The text of rtl_templates/lanes/vt_lane_isa.vh and of the reference document.
std::string VerilogHeader();
std::string Markdown();

}  // namespace vaultrain::lanes

#endif  // VAULTRAIN_LANE_PROGRAM_H_
