// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/isa.h"

#include <fmt/format.h>

#include <cctype>
#include <stdexcept>

namespace vaultrain::isa {
namespace {

constexpr bool kU = false;
constexpr bool kS = true;

constexpr Field kFields[] = {
#define VT_X(name, group, lsb, bits, sign, count, stride, meaning) \
  {#name, #group[0], lsb, bits, k##sign, count, stride, meaning},
    VT_ISA_FIELDS(VT_X)
#undef VT_X
};

// UpperCamelCase -> ALL_CAPS.
std::string Caps(std::string_view name) {
  std::string text;
  for (char c : name) {
    if (std::isupper(static_cast<unsigned char>(c)) && !text.empty()) text += '_';
    text += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return text;
}

std::string Lower(std::string_view name) {
  std::string text = Caps(name);
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

constexpr struct {
  Opcode opcode;
  const char* name;
  char group;
} kOpcodes[] = {
    {Opcode::kLoad, "load", 'M'},         {Opcode::kStore, "store", 'M'},
    {Opcode::kCompute, "compute", 'C'},   {Opcode::kVector, "vector", 'V'},
    {Opcode::kSoftmax, "softmax", 'S'},   {Opcode::kEnd, "end", 'E'},
    {Opcode::kElements, "elements", 'W'}, {Opcode::kSend, "send", 'N'},
    {Opcode::kLanes, "lanes", 'L'},
};

constexpr struct {
  ErrorCode code;
  const char* name;
} kErrors[] = {
    {ErrorCode::kOpcode, "OPCODE"},
    {ErrorCode::kReserved, "RESERVED"},
    {ErrorCode::kZeroCount, "ZERO_COUNT"},
    {ErrorCode::kWindow, "WINDOW"},
    {ErrorCode::kAlignment, "ALIGNMENT"},
    {ErrorCode::kLevel, "LEVEL"},
    {ErrorCode::kAccumulators, "ACCUMULATORS"},
    {ErrorCode::kNoEnd, "NO_END"},
    {ErrorCode::kSemaphore, "SEMAPHORE"},
    {ErrorCode::kWatchdog, "WATCHDOG"},
    {ErrorCode::kAborted, "ABORTED"},
    {ErrorCode::kUnsupported, "UNSUPPORTED"},
    {ErrorCode::kScratchpad, "SCRATCHPAD"},
    {ErrorCode::kMesh, "MESH"},
    {ErrorCode::kEcc, "ECC"},
    {ErrorCode::kRefresh, "REFRESH"},
    {ErrorCode::kPeer, "PEER"},
};

// Bits that the fields of a group (and the header) occupy.
std::string OccupiedMask(char group) {
  std::array<bool, 512> bits{};
  for (const Field& field : kFields) {
    if (!HasField(group, field)) continue;
    for (int i = 0; i < field.count; ++i) {
      for (int b = 0; b < field.bits; ++b) bits[field.lsb + i * field.stride + b] = true;
    }
  }
  std::string hex;
  for (int nibble = 127; nibble >= 0; --nibble) {
    int value = 0;
    for (int b = 0; b < 4; ++b) value |= bits[nibble * 4 + b] << b;
    hex += "0123456789abcdef"[value];
  }
  return hex;
}

}  // namespace

std::span<const Field> Fields() { return kFields; }

// END has nothing but its opcode.
bool HasField(char group, const Field& field) {
  if (group == 'E') return &field == &kFields[0];
  const bool vector = group == 'V' || group == 'W';
  return field.opcodes == 'A' || field.opcodes == group || (vector && field.opcodes == 'B');
}

int64_t Descriptor::Get(FieldId id, int index) const {
  const Field& field = kFields[static_cast<int>(id)];
  if (index < 0 || index >= field.count) throw std::out_of_range(field.name);
  const int lsb = field.lsb + index * field.stride;
  uint64_t value = 0;
  for (int b = 0; b < field.bits; ++b) {
    const int bit = lsb + b;
    value |= static_cast<uint64_t>((bytes_[bit / 8] >> (bit % 8)) & 1) << b;
  }
  if (field.is_signed && (value >> (field.bits - 1)) & 1) value |= ~uint64_t{0} << field.bits;
  return static_cast<int64_t>(value);
}

void Descriptor::Set(FieldId id, int64_t value, int index) {
  const Field& field = kFields[static_cast<int>(id)];
  const int64_t low = field.is_signed ? -(int64_t{1} << (field.bits - 1)) : 0;
  const int64_t high =
      field.is_signed ? (int64_t{1} << (field.bits - 1)) - 1 : (int64_t{1} << field.bits) - 1;
  if (index < 0 || index >= field.count || value < low || value > high) {
    throw std::out_of_range(
        fmt::format("descriptor field {}[{}] cannot hold {}", field.name, index, value));
  }
  const int lsb = field.lsb + index * field.stride;
  for (int b = 0; b < field.bits; ++b) {
    const int bit = lsb + b;
    const uint8_t mask = static_cast<uint8_t>(1u << (bit % 8));
    const bool one = (static_cast<uint64_t>(value) >> b) & 1;
    bytes_[bit / 8] = static_cast<uint8_t>(one ? bytes_[bit / 8] | mask : bytes_[bit / 8] & ~mask);
  }
}

std::array<int64_t, kLoops> Increments(const std::array<int64_t, kLoops>& bounds,
                                       const std::array<int64_t, kLoops>& strides) {
  std::array<int64_t, kLoops> increments{};
  int64_t rewound = 0;
  for (int k = 0; k < kLoops; ++k) {
    increments[k] = strides[k] - rewound;
    rewound += (bounds[k] - 1) * strides[k];
  }
  return increments;
}

char FieldGroup(int opcode) {
  for (const auto& entry : kOpcodes) {
    if (static_cast<int>(entry.opcode) == opcode) return entry.group;
  }
  return 0;
}

void Order(Descriptor& before, Descriptor& after) {
  const auto engine_of = [](const Descriptor& d) {
    return EngineOf(static_cast<Opcode>(d.Get(FieldId::kOpcode)));
  };
  before.Set(FieldId::kSignal, before.Get(FieldId::kSignal) | BitOf(engine_of(after)));
  after.Set(FieldId::kWait, after.Get(FieldId::kWait) | BitOf(engine_of(before)));
}

std::string OpcodeName(int opcode) {
  for (const auto& entry : kOpcodes) {
    if (static_cast<int>(entry.opcode) == opcode) return entry.name;
  }
  return fmt::format("opcode {}", opcode);
}

std::string ToText(const Descriptor& descriptor) {
  const int opcode = static_cast<int>(descriptor.Get(FieldId::kOpcode));
  const char group = FieldGroup(opcode);
  std::string text = OpcodeName(opcode);
  for (size_t f = 1; f < std::size(kFields); ++f) {
    const Field& field = kFields[f];
    if (!HasField(group, field)) continue;
    std::string values;
    for (int i = 0; i < field.count; ++i) {
      values += fmt::format("{}{}", i == 0 ? "" : ",", descriptor.Get(static_cast<FieldId>(f), i));
    }
    text += fmt::format(" {}={}", Lower(field.name), values);
  }
  return text;
}

std::string VerilogHeader() {
  std::string text =
      "// SPDX-License-Identifier: Apache-2.0\n"
      "// Copyright the Vaultrain authors\n"
      "//\n"
      "// Fields of the 64-byte descriptors, as bit ranges. Made from the table in "
      "vaultrain/isa.h;\n"
      "// do not edit.\n\n";
  auto define = [&text](const std::string& name, const std::string& value) {
    text += fmt::format("`define VT_{:<24} {}\n", name, value);
  };
  define("DESCRIPTOR_BITS", fmt::format("{}", kDescriptorBytes * 8));
  define("LOOPS", fmt::format("{}", kLoops));
  define("SEMAPHORE_BITS", fmt::format("{}", kSemaphoreBits));
  define("MESH_SEMAPHORES", fmt::format("{}", kMeshSemaphores));
  define("ENGINES", fmt::format("{}", kEngines));
  define("SCALARS", fmt::format("{}", kScalars));
  define("TAGS", fmt::format("{}", kTags));
  define("LANE_STREAMS", fmt::format("{}", kLaneStreams));
  define("LANE_GROUPS", fmt::format("{}", kLaneGroups));
  define("LANE_INSTRUCTIONS", fmt::format("{}", kLaneInstructions));
  text += "\n";
  for (const auto& entry : kOpcodes) {
    define("OP_" + Caps(entry.name).substr(0),
           fmt::format("4'd{}", static_cast<int>(entry.opcode)));
  }
  text += "\n";
  for (const auto& entry : kErrors) {
    define(fmt::format("ERROR_{}", entry.name), fmt::format("8'd{}", static_cast<int>(entry.code)));
  }
  text += "\n// Bits that a descriptor of each group may set.\n";
  for (char group : {'M', 'C', 'V', 'W', 'S', 'N', 'L', 'E'}) {
    define(fmt::format("USED_{}", group), fmt::format("512'h{}", OccupiedMask(group)));
  }
  text += "\n";
  for (const Field& field : kFields) {
    const int width = field.count == 1 ? field.bits : (field.count - 1) * field.stride + field.bits;
    define(Caps(field.name), fmt::format("{}:{}", field.lsb + width - 1, field.lsb));
  }
  return text;
}

std::string Markdown() {
  std::string text =
      "# Descriptors\n\n64 bytes, little-endian. Bits that an opcode does not define must be "
      "zero.\n\n";
  const struct {
    char group;
    const char* title;
  } kGroups[] = {{'A', "Every descriptor"}, {'M', "LOAD (1) and STORE (2)"},
                 {'C', "COMPUTE (3)"},      {'B', "VECTOR (4) and ELEMENTS (7)"},
                 {'V', "VECTOR (4) only"},  {'W', "ELEMENTS (7) only"},
                 {'S', "SOFTMAX (5)"},      {'N', "SEND (8)"},
                 {'L', "LANES (9)"}};
  for (const auto& [group, title] : kGroups) {
    text += fmt::format("## {}\n\n| field | bits | signed | meaning |\n|---|---|---|---|\n", title);
    for (const Field& field : kFields) {
      if (field.opcodes != group) continue;
      std::string range = fmt::format("{}:{}", field.lsb + field.bits - 1, field.lsb);
      if (field.count > 1)
        range += fmt::format(" and {} more, every {}", field.count - 1, field.stride);
      text += fmt::format("| `{}` | {} | {} | {} |\n", Lower(field.name), range,
                          field.is_signed ? "yes" : "no", field.meaning);
    }
    text += "\n";
  }
  text += "## Error codes\n\n| code | name |\n|---|---|\n";
  for (const auto& entry : kErrors) {
    text += fmt::format("| {} | {} |\n", static_cast<int>(entry.code), entry.name);
  }
  return text;
}

}  // namespace vaultrain::isa
