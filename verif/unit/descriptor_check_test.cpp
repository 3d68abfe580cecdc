// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>

#include "golden/machine.h"
#include "unit/block_bench.h"

namespace vaultrain {
namespace {

using isa::Descriptor;
using isa::ErrorCode;
using isa::FieldId;
using isa::kLoops;
using isa::Opcode;

constexpr uint64_t kDramBytes = uint64_t{1} << 32;
constexpr uint32_t kWordBytes = VT_WordBits / 8;
constexpr uint32_t kSpadBytes = 1u << VT_SpadBits;
constexpr int kOpBytes = VT_OpBits / 8;
constexpr uint32_t kFlitBytes = VT_LinkBits / 8;
// The node and the far corner of its mesh.
constexpr int kX = 3, kY = 1, kLastX = 5, kLastY = 2;

golden::MachineConfig Config() {
  golden::MachineConfig config;
  config.lanes = VT_WordBits / VT_OpBits;
  config.operand.number = VT_Halves         ? NumberFormat::kFx16
                          : VT_OpBits == 16 ? NumberFormat::kBf16
                                            : NumberFormat::kFp32;
  config.wide_gradients = VT_Halves;
  if (VT_Halves) config.align_bits = 43;
  config.cols = VT_Cols;
  config.acc_depth = VT_AccDepth;
  config.softmax_classes = VT_MaxClasses;
  config.scratchpad_bytes = kSpadBytes;
  config.dram_bytes = kDramBytes;
  config.data_bits = VT_BeatBits;
  config.turn_beats = VT_TurnBeats;
  config.link_bytes = kFlitBytes;
  config.x = kX;
  config.y = kY;
  config.last_x = kLastX;
  config.last_y = kLastY;
  return config;
}

class Bench {
 public:
  Bench() : golden_(Config()), dut_(&context_) {
    dut_.start_i = 0;
    dut_.my_x_i = kX;
    dut_.my_y_i = kY;
    dut_.last_x_i = kLastX;
    dut_.last_y_i = kLastY;
    Reset(dut_);
    SetWindow(0, kDramBytes);
  }

  void SetWindow(uint64_t base, uint64_t size) {
    golden_.SetWindow(base, size);
    dut_.window_base_i = base;
    dut_.window_size_i = size;
    base_ = base;
    size_ = size;
  }

  ErrorCode Rtl(const Descriptor& d) {
    PutBytes(dut_.descriptor_i, 0, d.bytes());
    dut_.start_i = 1;
    Settle(dut_);
    Rise(dut_);
    dut_.start_i = 0;
    for (int cycle = 0; cycle < 40; ++cycle) {
      Settle(dut_);
      const bool done = dut_.done_o;
      const int error = dut_.error_o;
      Rise(dut_);
      if (done) return static_cast<ErrorCode>(error);
    }
    ADD_FAILURE() << "never done: " << isa::ToText(d);
    return ErrorCode::kNone;
  }

  // Both answers are the same; returns it.
  ErrorCode Compare(const Descriptor& d, uint32_t seed) {
    const ErrorCode golden = golden_.Check(d);
    const ErrorCode rtl = Rtl(d);
    EXPECT_EQ(static_cast<int>(rtl), static_cast<int>(golden))
        << isa::ToText(d) << " window " << base_ << " + " << size_ << " seed " << seed;
    return golden;
  }

 private:
  golden::Machine golden_;
  VerilatedContext context_;
  Vdut dut_;
  uint64_t base_ = 0;
  uint64_t size_ = 0;
};

// A descriptor that may run in the whole vault.
Descriptor DrawLegal(std::mt19937& random) {
  const Opcode opcode = static_cast<Opcode>(1 + random() % 9);
  Descriptor d(opcode);
  if (opcode == Opcode::kEnd) return d;
  d.Set(FieldId::kTag, random() % 64);
  const int64_t others = ((1 << isa::kEngines) - 1) & ~isa::BitOf(isa::EngineOf(opcode));
  d.Set(FieldId::kWait, random() & others);
  d.Set(FieldId::kSignal, random() & others);
  const auto spad = [&](uint32_t unit) { return random() % kSpadBytes / unit * unit; };
  const auto pitch = [&] { return random() % (1 << 24) / kWordBytes * kWordBytes; };
  switch (opcode) {
    case Opcode::kLoad:
    case Opcode::kStore: {
      const bool transpose = opcode == Opcode::kLoad && random() % 2;
      const bool convert = opcode == Opcode::kLoad && VT_OpBits == 16 && random() % 2;
      d.Set(FieldId::kDramAddr, random() % (1 << 28) / 64 * 64);
      d.Set(FieldId::kDramPitch, random() % (1 << 14) / 64 * 64);
      int rows = 1 + static_cast<int>(random() % (1 << 16 >> random() % 14)) % 65000;
      int pad = opcode == Opcode::kLoad ? static_cast<int>(random() % 64) : 0;
      if (transpose) {
        const int side = VT_BeatBits / VT_OpBits;
        pad += (side - (rows + pad) % side) % side;
        const int access_ops = 64 / (convert ? 4 : kOpBytes);
        const int most = std::max(1, VT_TurnBeats * side / access_ops);
        const int accesses = 1 + static_cast<int>(random() % most);
        d.Set(FieldId::kRowAccesses, accesses);
        d.Set(FieldId::kCols, 1 + random() % (accesses * access_ops));
        d.Set(FieldId::kSpadAddr, spad(VT_BeatBits / 8));
      } else {
        d.Set(FieldId::kRowAccesses, 1 + random() % 3000);
        d.Set(FieldId::kSpadAddr, spad(kWordBytes));
      }
      d.Set(FieldId::kTranspose, transpose);
      d.Set(FieldId::kConvert, convert);
      if (VT_Halves && convert) d.Set(FieldId::kHalf, random() % 3);
      d.Set(FieldId::kRows, rows);
      d.Set(FieldId::kPadRows, pad);
      d.Set(FieldId::kSpadPitch, pitch());
      break;
    }
    case Opcode::kCompute: {
      const int b_level = 1 + static_cast<int>(random() % 6);
      const int store_level = b_level + static_cast<int>(random() % (7 - b_level));
      const bool whole = random() % 2;
      d.Set(FieldId::kFirst, whole || random() % 2);
      d.Set(FieldId::kLast, whole);
      d.Set(FieldId::kBLevel, b_level);
      d.Set(FieldId::kStoreLevel, store_level);
      const bool halves = VT_Halves && store_level > b_level && random() % 2;
      d.Set(FieldId::kHalves, halves);
      int left = VT_AccDepth / 2;
      for (int k = 0; k < kLoops; ++k) {
        int bound = 1 + static_cast<int>(random() % 65535);
        if (k < b_level) {
          bound = 1 + static_cast<int>(random() % left);
          left /= bound;
        } else if (k >= store_level && !whole) {
          bound = 1;
        }
        if (halves && k == store_level - 1) bound = 2;
        d.Set(FieldId::kBound, bound, k);
        d.Set(FieldId::kAInc, static_cast<int16_t>(random()), k);
        d.Set(FieldId::kBInc, static_cast<int16_t>(random()), k);
      }
      d.Set(FieldId::kABase, random() % std::min(65536u, kSpadBytes / kWordBytes));
      d.Set(FieldId::kBBase, random() % std::min(65536u, kSpadBytes / kWordBytes));
      d.Set(FieldId::kBColInc, static_cast<int16_t>(random()));
      break;
    }
    case Opcode::kVector:
    case Opcode::kElements: {
      const bool elements = opcode == Opcode::kElements;
      const int aux = static_cast<int>(random() % 3);
      const bool wide = random() % 2;
      const uint32_t out_unit = VT_Cols * (wide ? 4 : kOpBytes);
      const uint32_t aux_unit = VT_Cols * (aux == 1 ? 4 : kOpBytes);
      if (!elements) d.Set(FieldId::kPopLevel, 1 + random() % 6);
      d.Set(FieldId::kUseScale, random() % 2);
      d.Set(FieldId::kScalar, random() % 8);
      d.Set(FieldId::kAuxKind, aux);
      d.Set(FieldId::kRelu, random() % 2);
      d.Set(FieldId::kOutFp32, wide);
      d.Set(FieldId::kTailLoop, random() % 8);
      d.Set(FieldId::kOutBase, spad(out_unit));
      d.Set(FieldId::kAuxBase, aux ? spad(aux_unit) : random() % (1 << 24));
      for (int k = 0; k < kLoops; ++k) {
        d.Set(FieldId::kVBound, elements && k >= 3 ? 1 : 1 + random() % 65535, k);
        if (elements && k >= 3) continue;
        const auto inc = [&](int unit) {
          return (static_cast<int>(random() % (1 << 23)) - (1 << 22)) / unit * unit;
        };
        d.Set(elements ? FieldId::kEOutInc : FieldId::kOutInc, inc(static_cast<int>(out_unit)), k);
        d.Set(elements ? FieldId::kEAuxInc : FieldId::kAuxInc,
              aux ? inc(static_cast<int>(aux_unit)) : inc(1), k);
        if (elements) d.Set(FieldId::kSrcInc, inc(4 * VT_Cols), k);
      }
      if (elements) d.Set(FieldId::kSrcBase, spad(4 * VT_Cols));
      break;
    }
    case Opcode::kSend: {
      const auto kind = static_cast<isa::SendKind>(random() % 3);
      const bool reduce = kind == isa::SendKind::kReduce;
      const bool moves = reduce || (kind == isa::SendKind::kPut && random() % 4);
      auto group = static_cast<isa::Group>(random() % 4);
      if (reduce && group == isa::Group::kOwner) group = isa::Group::kAll;
      const bool to_owner = reduce || group == isa::Group::kOwner;
      d.Set(FieldId::kSendKind, static_cast<int>(kind));
      d.Set(FieldId::kGroup, static_cast<int>(group));
      d.Set(FieldId::kOwnerX, random() % (to_owner ? kLastX + 1 : 8));
      d.Set(FieldId::kOwnerY, random() % (to_owner ? kLastY + 1 : 8));
      if (reduce && group == isa::Group::kRow) d.Set(FieldId::kOwnerY, kY);
      if (reduce && group == isa::Group::kColumn) d.Set(FieldId::kOwnerX, kX);
      d.Set(FieldId::kPost, kind != isa::SendKind::kTokens && random() % 2);
      d.Set(FieldId::kPostSem, random() % isa::kMeshSemaphores);
      for (int i = 0; i < 2; ++i) {
        d.Set(FieldId::kTake, random() % 3 ? random() % 64 : 0, i);
        d.Set(FieldId::kTakeSem, random() % (isa::kMeshSemaphores / 2) * 2 + i, i);
      }
      const auto flits = [&](uint32_t size) { return random() % size / kFlitBytes * kFlitBytes; };
      d.Set(FieldId::kSendAddr, flits(moves ? kSpadBytes : 1 << 24));
      d.Set(FieldId::kDstAddr, flits(moves ? kSpadBytes : 1 << 24));
      d.Set(FieldId::kSendPitch, flits(1 << 24));
      d.Set(FieldId::kDstPitch, flits(1 << 24));
      if (moves) {
        d.Set(FieldId::kSendRows, 1 + random() % 65535);
        d.Set(FieldId::kRowFlits, 1 + random() % 65535);
      }
      break;
    }
    case Opcode::kLanes:
      d.Set(FieldId::kLGroups, 1 + random() % 16);
      d.Set(FieldId::kLLevel, random() % 4);
      d.Set(FieldId::kLInit, random() % 40);
      d.Set(FieldId::kLBody, 1 + random() % 50);
      d.Set(FieldId::kLFinal, random() % 39);
      for (int k = 0; k < 3; ++k) d.Set(FieldId::kLBound, 1 + random() % 65535, k);
      d.Set(FieldId::kLProgram, random() % std::min(65536u, kSpadBytes / kWordBytes));
      for (int s = 0; s < isa::kLaneStreams; ++s) {
        d.Set(FieldId::kLBase, spad(VT_Cols * kOpBytes), s);
      }
      for (int i = 0; i < 16; ++i) d.Set(FieldId::kLInc, static_cast<int16_t>(random()), i);
      break;
    default:
      d.Set(FieldId::kSRows, 1 + random() % 65535);
      d.Set(FieldId::kClasses, 1 + random() % VT_MaxClasses);
      for (FieldId id :
           {FieldId::kLogitsAddr, FieldId::kLabelsAddr, FieldId::kGradAddr, FieldId::kLossAddr}) {
        d.Set(id, spad(kWordBytes));
      }
      d.Set(FieldId::kLogitsPitch, pitch());
      d.Set(FieldId::kGradPitch, pitch());
      d.Set(FieldId::kSScalar, random() % 8);
      break;
  }
  return d;
}

// Sets one field of the descriptor's group to something near a limit, or flips a bit.
void Mutate(Descriptor& d, std::mt19937& random) {
  if (random() % 4 == 0) {
    d.bytes()[random() % isa::kDescriptorBytes] ^= static_cast<uint8_t>(1u << random() % 8);
    return;
  }
  const char group = isa::FieldGroup(static_cast<int>(d.Get(FieldId::kOpcode)));
  for (;;) {
    const size_t n = random() % isa::Fields().size();
    const isa::Field& field = isa::Fields()[n];
    if (!isa::HasField(group, field) || (field.opcodes == 'A' && random() % 8)) continue;
    const FieldId id = static_cast<FieldId>(n);
    const int index = static_cast<int>(random() % field.count);
    const int64_t old = d.Get(id, index);
    const int64_t limits[] = {0,
                              1,
                              old + 1,
                              old - 1,
                              old * 2,
                              kSpadBytes,
                              old + 64,
                              kWordBytes,
                              old + 8,
                              65535,
                              int64_t{1} << (field.bits - 1),
                              VT_MaxClasses,
                              kX,
                              kY,
                              kLastX + 1,
                              kLastY + 1,
                              kFlitBytes,
                              4 * VT_Cols,
                              VT_AccDepth / 2,
                              isa::kLaneGroups + 1,
                              static_cast<int64_t>(random())};
    int64_t value = limits[random() % std::size(limits)];
    value &= static_cast<int64_t>(LowBits(field.bits));
    if (field.is_signed && value >> (field.bits - 1)) value -= int64_t{1} << field.bits;
    d.Set(id, value, index);
    return;
  }
}

TEST(DescriptorCheck, AcceptsWhatIsLegal) {
  Bench bench;
  std::mt19937 random(1);
  std::map<int, int> accepted;
  for (int i = 0; i < 4000; ++i) {
    const Descriptor d = DrawLegal(random);
    ASSERT_EQ(bench.Compare(d, 1), ErrorCode::kNone) << isa::ToText(d);
    ++accepted[static_cast<int>(d.Get(FieldId::kOpcode))];
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_EQ(accepted.size(), 9u);
}

TEST(DescriptorCheck, AnswersMutatedDescriptorsAsGoldenDoes) {
  std::map<ErrorCode, int> seen;
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    Bench bench;
    std::mt19937 random(seed);
    for (int i = 0; i < 15000; ++i) {
      Descriptor d = DrawLegal(random);
      for (uint32_t n = 1 + random() % 3; n > 0; --n) Mutate(d, random);
      ++seen[bench.Compare(d, seed)];
      ASSERT_FALSE(HasFailure());
    }
  }
  for (const ErrorCode code :
       {ErrorCode::kNone, ErrorCode::kOpcode, ErrorCode::kReserved, ErrorCode::kZeroCount,
        ErrorCode::kWindow, ErrorCode::kAlignment, ErrorCode::kLevel, ErrorCode::kAccumulators,
        ErrorCode::kUnsupported, ErrorCode::kScratchpad}) {
    EXPECT_GT(seen[code], 20) << "code " << static_cast<int>(code) << " is hardly ever asked for";
  }
}

TEST(DescriptorCheck, AnswersNoiseAsGoldenDoes) {
  Bench bench;
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    Descriptor d;
    for (uint8_t& b : d.bytes()) b = static_cast<uint8_t>(random() & random());
    bench.Compare(d, 1);
    ASSERT_FALSE(HasFailure());
  }
}

// Halves, where the variant has them and where it has not: by the field and by what it needs.
TEST(DescriptorCheck, HalvesStandWhereTheyMay) {
  Bench bench;
  std::mt19937 random(4);
  std::map<ErrorCode, int> seen;
  std::map<int64_t, int> drawn;
  while (seen[ErrorCode::kUnsupported] < 2000) {
    Descriptor d = DrawLegal(random);
    const auto opcode = static_cast<Opcode>(d.Get(FieldId::kOpcode));
    if (opcode == Opcode::kLoad || opcode == Opcode::kStore) {
      ++drawn[d.Get(FieldId::kHalf)];
      const bool convert = d.Get(FieldId::kConvert);
      for (int half = 0; half < 4; ++half) {
        d.Set(FieldId::kHalf, half);
        const bool allowed = half == 0 || (VT_Halves && convert && half < 3);
        const ErrorCode code = bench.Compare(d, 4);
        EXPECT_EQ(code, allowed ? ErrorCode::kNone : ErrorCode::kUnsupported) << isa::ToText(d);
        ++seen[code];
      }
    } else if (opcode == Opcode::kCompute) {
      d.Set(FieldId::kHalves, 1);
      const int64_t b_level = d.Get(FieldId::kBLevel);
      const int64_t store_level = d.Get(FieldId::kStoreLevel);
      for (int bound = 1; bound < 4; ++bound) {
        if (store_level > b_level) d.Set(FieldId::kBound, bound, static_cast<int>(store_level) - 1);
        const ErrorCode code = bench.Compare(d, 4);
        EXPECT_EQ(code, !VT_Halves                            ? ErrorCode::kUnsupported
                        : store_level > b_level && bound == 2 ? ErrorCode::kNone
                                                              : ErrorCode::kLevel)
            << isa::ToText(d);
        ++seen[code];
      }
    }
    ASSERT_FALSE(HasFailure());
  }
  if (VT_Halves) {
    EXPECT_GT(seen[ErrorCode::kLevel], 100);
    EXPECT_GT(drawn[1], 20);
    EXPECT_GT(drawn[2], 20);
  }
}

// A tile that touches both ends of the window is allowed, a byte beyond either is not.
TEST(DescriptorCheck, TheWindowHoldsToTheByte) {
  Bench bench;
  std::mt19937 random(3);
  int moves = 0;
  while (moves < 500) {
    const Descriptor d = DrawLegal(random);
    const int64_t opcode = d.Get(FieldId::kOpcode);
    if (opcode != 1 && opcode != 2) continue;
    ++moves;
    const uint64_t begin = static_cast<uint64_t>(d.Get(FieldId::kDramAddr));
    const uint64_t size =
        static_cast<uint64_t>((d.Get(FieldId::kRows) - 1) * d.Get(FieldId::kDramPitch) +
                              d.Get(FieldId::kRowAccesses) * 64);
    bench.SetWindow(begin, size);
    EXPECT_EQ(bench.Compare(d, 3), ErrorCode::kNone);
    bench.SetWindow(begin + 1, size);
    EXPECT_EQ(bench.Compare(d, 3), ErrorCode::kWindow);
    bench.SetWindow(begin, size - 1);
    EXPECT_EQ(bench.Compare(d, 3), ErrorCode::kWindow);
    ASSERT_FALSE(HasFailure());
  }
}

}  // namespace
}  // namespace vaultrain
