// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/lane_program.h"

#include <fmt/format.h>

#include <bit>
#include <cctype>
#include <stdexcept>
#include <string_view>

#include "vaultrain/verilog_header.h"

namespace vaultrain::lanes {
namespace {

constexpr bool kU = false;
constexpr bool kS = true;

constexpr Field kFields[] = {
#define VT_X(name, lsb, bits, sign, meaning) {#name, lsb, bits, k##sign, meaning},
    VT_LANE_FIELDS(VT_X)
#undef VT_X
};

constexpr OpInfo kOps[] = {
#define VT_X(name, number, operands, meaning) {#name, Op::k##name, operands, meaning},
    VT_LANE_OPS(VT_X)
#undef VT_X
};

// UpperCamelCase with underscores, in the case that `change` makes.
std::string Spelt(std::string_view name, int (*change)(int)) {
  std::string text;
  for (char c : name) {
    if (std::isupper(static_cast<unsigned char>(c)) && !text.empty()) text += '_';
    text += static_cast<char>(change(static_cast<unsigned char>(c)));
  }
  return text;
}

std::string Caps(std::string_view name) { return Spelt(name, std::toupper); }
std::string Lower(std::string_view name) { return Spelt(name, std::tolower); }

}  // namespace

std::span<const Field> Fields() { return kFields; }
std::span<const OpInfo> Ops() { return kOps; }

int32_t Get(uint32_t word, FieldId id) {
  const Field& field = kFields[static_cast<int>(id)];
  const uint32_t value = word >> field.lsb & ((uint32_t{1} << field.bits) - 1);
  if (field.is_signed && value >> (field.bits - 1)) {
    return static_cast<int32_t>(value) - (int32_t{1} << field.bits);
  }
  return static_cast<int32_t>(value);
}

void Set(uint32_t& word, FieldId id, int64_t value) {
  const Field& field = kFields[static_cast<int>(id)];
  const int64_t low = field.is_signed ? -(int64_t{1} << (field.bits - 1)) : 0;
  const int64_t high = low + (int64_t{1} << field.bits) - 1;
  if (value < low || value > high) {
    throw std::out_of_range(
        fmt::format("lane instruction field {} cannot hold {}", field.name, value));
  }
  const uint32_t mask = ((uint32_t{1} << field.bits) - 1) << field.lsb;
  word = (word & ~mask) | (static_cast<uint32_t>(value) << field.lsb & mask);
}

// ---- assembler

Section& Section::Word(uint32_t word) {
  words_.push_back(word);
  return *this;
}

Section& Section::Three(Op op, int d, int a, int b, int c) {
  uint32_t word = 0;
  Set(word, FieldId::kOp, static_cast<int>(op));
  Set(word, FieldId::kDst, d);
  Set(word, FieldId::kA, a);
  Set(word, FieldId::kB, b);
  Set(word, FieldId::kC, c);
  return Word(word);
}

Section& Section::Memory(Op op, int d, int a, int stream, int offset) {
  uint32_t word = 0;
  Set(word, FieldId::kOp, static_cast<int>(op));
  Set(word, FieldId::kDst, d);
  Set(word, FieldId::kA, a);
  Set(word, FieldId::kStream, stream);
  Set(word, FieldId::kOffset, offset);
  return Word(word);
}

Section& Section::Take(Taken taken, int stream, bool wide) {
  if (words_.empty() || Get(words_.back(), FieldId::kOp) != static_cast<int>(Op::kMad)) {
    throw std::out_of_range("only a mad takes values of a stream");
  }
  Set(words_.back(), FieldId::kTaken, static_cast<int>(taken));
  Set(words_.back(), FieldId::kTakenStream, stream);
  Set(words_.back(), FieldId::kTakenWide, wide);
  return *this;
}

Section& Section::Mad(int d, int a, int b, int c, bool neg_product, bool neg_c) {
  Three(Op::kMad, d, a, b, c);
  Set(words_.back(), FieldId::kNegProduct, neg_product);
  Set(words_.back(), FieldId::kNegC, neg_c);
  return *this;
}

Section& Section::Mul(int d, int a, int b, bool negate) {
  Three(Op::kMad, d, a, b);
  Set(words_.back(), FieldId::kNegProduct, negate);
  Set(words_.back(), FieldId::kNoC, 1);
  return *this;
}

Section& Section::Add(int d, int a, int b) {
  Three(Op::kMad, d, a, 0, b);
  Set(words_.back(), FieldId::kOne, 1);
  return *this;
}

Section& Section::Sub(int d, int a, int b) {
  Add(d, a, b);
  Set(words_.back(), FieldId::kNegC, 1);
  return *this;
}

Section& Section::Neg(int d, int a) {
  Copy(d, a);
  Set(words_.back(), FieldId::kNegProduct, 1);
  return *this;
}

Section& Section::Copy(int d, int a) {
  Three(Op::kMad, d, a, 0);
  Set(words_.back(), FieldId::kOne, 1);
  Set(words_.back(), FieldId::kNoC, 1);
  return *this;
}

Section& Section::Constant(int d, float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t word = 0;
  Set(word, FieldId::kDst, d);
  if ((bits & 0xFFFF) == 0) {
    Set(word, FieldId::kOp, static_cast<int>(Op::kLdh));
    Set(word, FieldId::kHigh, bits >> 16);
    return Word(word);
  }
  Set(word, FieldId::kOp, static_cast<int>(Op::kLdi));
  return Word(word).Word(bits);
}

Section& Section::Scalar(int d, int index) {
  uint32_t word = 0;
  Set(word, FieldId::kOp, static_cast<int>(Op::kScl));
  Set(word, FieldId::kDst, d);
  Set(word, FieldId::kScalar, index);
  return Word(word);
}

Section& Section::Move(int d, int a, LaneMode lane_mode, int lanes, GroupMode group_mode,
                       int groups) {
  uint32_t word = 0;
  Set(word, FieldId::kOp, static_cast<int>(Op::kMove));
  Set(word, FieldId::kDst, d);
  Set(word, FieldId::kA, a);
  Set(word, FieldId::kLaneMode, static_cast<int>(lane_mode));
  Set(word, FieldId::kLaneShift, lanes);
  Set(word, FieldId::kGroupMode, static_cast<int>(group_mode));
  Set(word, FieldId::kGroupShift, groups);
  return Word(word);
}

template <typename Combine>
Section& Section::OverLanes(int d, int a, int scratch, int cols, Combine combine) {
  int from = a;
  for (int n = 1; n < cols; n *= 2, from = d) {
    Move(scratch, from, LaneMode::kXor, n, GroupMode::kShiftZero, 0);
    combine(from);
  }
  return from == d ? *this : Copy(d, a);
}

Section& Section::SumLanes(int d, int a, int scratch, int cols) {
  return OverLanes(d, a, scratch, cols, [&](int from) { Add(d, from, scratch); });
}

Section& Section::MaxLanes(int d, int a, int scratch, int cols) {
  return OverLanes(d, a, scratch, cols, [&](int from) { Max(d, from, scratch); });
}

std::vector<uint32_t> Program::Words() const {
  std::vector<uint32_t> words = init.words();
  words.insert(words.end(), body.words().begin(), body.words().end());
  words.insert(words.end(), final.words().begin(), final.words().end());
  return words;
}

isa::Descriptor MakeDescriptor(const Program& program, uint32_t program_word, const Job& job) {
  using DescriptorField = isa::FieldId;
  isa::Descriptor d(isa::Opcode::kLanes);
  if (program.Words().size() > isa::kLaneInstructions) {
    throw std::out_of_range("a lane program is too long");
  }
  d.Set(DescriptorField::kLGroups, job.groups);
  d.Set(DescriptorField::kLLevel, job.level);
  d.Set(DescriptorField::kLInit, static_cast<int64_t>(program.init.words().size()));
  d.Set(DescriptorField::kLBody, static_cast<int64_t>(program.body.words().size()));
  d.Set(DescriptorField::kLFinal, static_cast<int64_t>(program.final.words().size()));
  d.Set(DescriptorField::kLProgram, program_word);
  for (int k = 0; k < isa::kLaneLoops - 1; ++k) d.Set(DescriptorField::kLBound, job.bounds[k], k);
  for (int s = 0; s < isa::kLaneStreams; ++s) {
    const Stream& stream = job.streams[s];
    d.Set(DescriptorField::kLBase, stream.base, s);
    d.Set(DescriptorField::kLInc, stream.strides[0], isa::kLaneLoops * s);
    int64_t rewound = 0;
    for (int k = 1; k < isa::kLaneLoops; ++k) {
      // A loop of one iteration never advances.
      const int64_t inc = job.bounds[k - 1] > 1 ? stream.strides[k] - rewound : 0;
      d.Set(DescriptorField::kLInc, inc, isa::kLaneLoops * s + k);
      rewound += (job.bounds[k - 1] - 1) * stream.strides[k];
    }
  }
  return d;
}

// ---- texts

std::string ToText(uint32_t word) {
  const int number = Get(word, FieldId::kOp);
  for (const OpInfo& info : kOps) {
    if (static_cast<int>(info.op) != number) continue;
    std::string text = Lower(info.name);
    const std::string_view operands = info.operands;
    auto field = [&](FieldId id) {
      text += fmt::format(" {}={}", Lower(kFields[static_cast<int>(id)].name), Get(word, id));
    };
    const size_t space = operands.find(' ');
    for (char c : operands.substr(0, space)) {
      const FieldId id = c == 'd'   ? FieldId::kDst
                         : c == 'a' ? FieldId::kA
                         : c == 'b' ? FieldId::kB
                                    : FieldId::kC;
      text += fmt::format(" {}{}", c, Get(word, id));
    }
    const std::string_view rest = space == operands.npos ? "" : operands.substr(space + 1);
    if (rest == "neg") {
      for (FieldId id : {FieldId::kNegProduct, FieldId::kNegC, FieldId::kOne, FieldId::kNoC,
                         FieldId::kTaken, FieldId::kTakenStream, FieldId::kTakenWide}) {
        field(id);
      }
    } else if (rest == "stream") {
      for (FieldId id : {FieldId::kStream, FieldId::kOffset}) field(id);
    } else if (rest == "high") {
      field(FieldId::kHigh);
    } else if (rest == "scalar") {
      field(FieldId::kScalar);
    } else if (rest == "move") {
      for (FieldId id :
           {FieldId::kLaneMode, FieldId::kLaneShift, FieldId::kGroupMode, FieldId::kGroupShift}) {
        field(id);
      }
    }
    return text;
  }
  return "nop";
}

std::string VerilogHeader() {
  vaultrain::VerilogHeader header(
      "Fields and operations of lane instructions.\n"
      "\n"
      "Written from the tables in generator/include/vaultrain/lane_program.h; edit those, then "
      "run\n"
      "VT_UPDATE=1 lane_program_test to write this file again.",
      "VT_LANE_");
  header.Section("sizes");
  header.Number("REGISTERS", kRegisters);
  header.Section("fields");
  for (const Field& field : kFields) {
    header.BitRange(Caps(field.name), field.lsb + field.bits - 1, field.lsb);
  }
  header.Section("operations");
  for (const OpInfo& info : kOps) {
    header.Constant("OP_" + Caps(info.name), kFields[0].bits, static_cast<uint64_t>(info.op));
  }
  return header.Text();
}

std::string Markdown() {
  std::string text =
      "# Lane instructions\n\n32 bits. A word of any other operation does nothing.\n\n"
      "| operation | number | registers and fields | meaning |\n|---|---|---|---|\n";
  for (const OpInfo& info : kOps) {
    text += fmt::format("| `{}` | {} | {} | {} |\n", Lower(info.name), static_cast<int>(info.op),
                        info.operands, info.meaning);
  }
  text += "\n| field | bits | signed | meaning |\n|---|---|---|---|\n";
  for (const Field& field : kFields) {
    text +=
        fmt::format("| `{}` | {}:{} | {} | {} |\n", Lower(field.name), field.lsb + field.bits - 1,
                    field.lsb, field.is_signed ? "yes" : "no", field.meaning);
  }
  return text;
}

}  // namespace vaultrain::lanes
