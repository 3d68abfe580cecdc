// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "golden/machine.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "golden/fp32.h"
#include "golden/lanes.h"
#include "golden/softmax.h"

namespace vaultrain::golden {
namespace {

using isa::Descriptor;
using isa::ErrorCode;
using isa::FieldId;
using isa::kLoops;
using isa::Opcode;

constexpr uint64_t kScratchpadAddressMask = (uint64_t{1} << 24) - 1;

uint64_t Unsigned(const Descriptor& d, FieldId id, int index = 0) {
  return static_cast<uint64_t>(d.Get(id, index));
}

bool IsMultiple(int64_t value, int64_t of) { return value % of == 0; }

// Bits that descriptors of a group may set.
std::array<uint8_t, isa::kDescriptorBytes> UsedBits(char group) {
  std::array<uint8_t, isa::kDescriptorBytes> used{};
  for (const isa::Field& field : isa::Fields()) {
    if (!isa::HasField(group, field)) continue;
    for (int i = 0; i < field.count; ++i) {
      for (int b = 0; b < field.bits; ++b) {
        const int bit = field.lsb + i * field.stride + b;
        used[bit / 8] = static_cast<uint8_t>(used[bit / 8] | 1 << (bit % 8));
      }
    }
  }
  return used;
}

bool SetsReservedBits(const Descriptor& d, char group) {
  static const std::array<std::array<uint8_t, isa::kDescriptorBytes>, 26> kUsed = [] {
    std::array<std::array<uint8_t, isa::kDescriptorBytes>, 26> all{};
    for (char g : {'M', 'C', 'V', 'W', 'S', 'N', 'L', 'E'}) all[g - 'A'] = UsedBits(g);
    return all;
  }();
  const auto& used = kUsed[group - 'A'];
  for (int i = 0; i < isa::kDescriptorBytes; ++i) {
    if (d.bytes()[i] & ~used[i]) return true;
  }
  return false;
}

// Tokens to or from the engine that runs the descriptor.
bool WaitsForItself(const Descriptor& d) {
  const auto opcode = static_cast<Opcode>(d.Get(FieldId::kOpcode));
  return opcode != Opcode::kEnd && ((d.Get(FieldId::kWait) | d.Get(FieldId::kSignal)) &
                                    isa::BitOf(isa::EngineOf(opcode))) != 0;
}

bool AnyZero(const Descriptor& d, FieldId id) {
  for (int k = 0; k < isa::Fields()[static_cast<int>(id)].count; ++k) {
    if (d.Get(id, k) == 0) return true;
  }
  return false;
}

// Product of the bounds of loops [0, level), held at `most` + 1.
uint64_t ProductBelow(const Descriptor& d, FieldId bound, int level, uint64_t most) {
  uint64_t product = 1;
  for (int k = 0; k < level; ++k) product = std::min(product * Unsigned(d, bound, k), most + 1);
  return product;
}

uint32_t Get32(const uint8_t* bytes) {
  return static_cast<uint32_t>(bytes[0]) | static_cast<uint32_t>(bytes[1]) << 8 |
         static_cast<uint32_t>(bytes[2]) << 16 | static_cast<uint32_t>(bytes[3]) << 24;
}

uint16_t Get16(const uint8_t* bytes) { return static_cast<uint16_t>(bytes[0] | bytes[1] << 8); }

void Put(uint8_t* bytes, uint32_t value, int size) {
  for (int i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
}

}  // namespace

// ---- memory

void SparseMemory::Write(uint64_t address, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const uint64_t offset = address % kPageBytes;
    const size_t size = std::min<uint64_t>(bytes.size(), kPageBytes - offset);
    auto& page = pages_[address / kPageBytes];
    if (!page) page = std::make_unique<Page>();
    std::memcpy(page->data() + offset, bytes.data(), size);
    bytes = bytes.subspan(size);
    address += size;
  }
}

void SparseMemory::Read(uint64_t address, std::span<uint8_t> bytes) const {
  while (!bytes.empty()) {
    const uint64_t offset = address % kPageBytes;
    const size_t size = std::min<uint64_t>(bytes.size(), kPageBytes - offset);
    const auto page = pages_.find(address / kPageBytes);
    if (page == pages_.end()) {
      std::memset(bytes.data(), 0, size);
    } else {
      std::memcpy(bytes.data(), page->second->data() + offset, size);
    }
    bytes = bytes.subspan(size);
    address += size;
  }
}

void Machine::Write(uint64_t address, std::span<const uint8_t> bytes) {
  if (address > config_.dram_bytes || bytes.size() > config_.dram_bytes - address) {
    throw std::out_of_range("write beyond the vault");
  }
  if (order_) order_->Access(OrderChecker::Space::kVault, address, bytes.size(), true);
  memory_.Write(address, bytes);
}

void Machine::Read(uint64_t address, std::span<uint8_t> bytes) const {
  if (address > config_.dram_bytes || bytes.size() > config_.dram_bytes - address) {
    throw std::out_of_range("read beyond the vault");
  }
  if (order_) order_->Access(OrderChecker::Space::kVault, address, bytes.size(), false);
  memory_.Read(address, bytes);
}

void Machine::SetWindow(uint64_t base, uint64_t size) {
  if (base > config_.dram_bytes || size > config_.dram_bytes - base) {
    throw std::out_of_range("window beyond the vault");
  }
  window_base_ = base;
  window_size_ = size;
}

void Machine::ReadScratchpad(uint64_t address, std::span<uint8_t> bytes) const {
  if (order_) order_->Access(OrderChecker::Space::kScratchpad, address, bytes.size(), false);
  while (!bytes.empty()) {
    address %= scratchpad_.size();
    const size_t size = std::min<uint64_t>(bytes.size(), scratchpad_.size() - address);
    std::memcpy(bytes.data(), scratchpad_.data() + address, size);
    bytes = bytes.subspan(size);
    address += size;
  }
}

void Machine::WriteScratchpad(uint64_t address, std::span<const uint8_t> bytes) {
  if (order_) order_->Access(OrderChecker::Space::kScratchpad, address, bytes.size(), true);
  while (!bytes.empty()) {
    address %= scratchpad_.size();
    const size_t size = std::min<uint64_t>(bytes.size(), scratchpad_.size() - address);
    std::memcpy(scratchpad_.data() + address, bytes.data(), size);
    pe_array_.Invalidate(address, address + size);
    bytes = bytes.subspan(size);
    address += size;
  }
}

// ---- configuration

namespace {

const MachineConfig& Checked(const MachineConfig& config) {
  config.Dot().Check();
  if (config.rows < 1 || config.cols < 1 || config.softmax_classes < 1) {
    throw std::invalid_argument("rows, cols and softmax_classes must be positive");
  }
  if (config.acc_depth < 2 || config.acc_depth % 2 != 0) {
    throw std::invalid_argument("acc_depth must be even and positive");
  }
  if (config.scratchpad_bytes == 0 || config.scratchpad_bytes % config.WordBytes() != 0 ||
      config.scratchpad_bytes > kScratchpadAddressMask + 1) {
    throw std::invalid_argument("scratchpad_bytes must be whole words, up to 2^24 bytes");
  }
  if (config.access_bytes < 4 || config.access_bytes % 4 != 0 || config.data_bits < 32 ||
      config.data_bits % 32 != 0) {
    throw std::invalid_argument("access_bytes and data_bits must hold whole fp32 values");
  }
  return config;
}

}  // namespace

Machine::Machine(const MachineConfig& config)
    : config_(Checked(config)),
      scratchpad_(config.scratchpad_bytes),
      pe_array_(config.Dot(), config.rows, config.scratchpad_bytes / config.WordBytes(),
                scratchpad_.data()),
      window_size_(config.dram_bytes) {
  sums_.resize(static_cast<size_t>(config.acc_depth / 2) * static_cast<size_t>(config.cols));
  if (config.check_order) {
    const int cell = std::min({config.cols * config.OperandBytes(), config.data_bits / 8,
                               config.link_bytes, static_cast<int>(config.WordBytes())});
    order_ = std::make_unique<OrderChecker>(config.scratchpad_bytes, static_cast<uint64_t>(cell));
  }
}

// ---- checks

ErrorCode Machine::Check(const Descriptor& d) const {
  const int opcode = static_cast<int>(d.Get(FieldId::kOpcode));
  const char group = isa::FieldGroup(opcode);
  if (group == 0) return ErrorCode::kOpcode;
  if (SetsReservedBits(d, group) || WaitsForItself(d)) return ErrorCode::kReserved;
  switch (static_cast<Opcode>(opcode)) {
    case Opcode::kLoad:
    case Opcode::kStore:
      return CheckMove(d);
    case Opcode::kCompute:
      return CheckCompute(d);
    case Opcode::kVector:
      return CheckVector(d);
    case Opcode::kSoftmax:
      return CheckSoftmax(d);
    case Opcode::kElements:
      return CheckElements(d);
    case Opcode::kSend:
      return CheckSend(d);
    case Opcode::kLanes:
      return CheckLanes(d);
    case Opcode::kEnd:
      break;
  }
  return ErrorCode::kNone;
}

ErrorCode Machine::CheckMove(const Descriptor& d) const {
  const bool store = static_cast<Opcode>(d.Get(FieldId::kOpcode)) == Opcode::kStore;
  const bool convert = d.Get(FieldId::kConvert);
  const bool transpose = d.Get(FieldId::kTranspose);
  const int64_t rows = d.Get(FieldId::kRows);
  const int64_t pad_rows = d.Get(FieldId::kPadRows);
  const int64_t cols = d.Get(FieldId::kCols);
  if (rows == 0 || d.Get(FieldId::kRowAccesses) == 0 || (transpose && cols == 0)) {
    return ErrorCode::kZeroCount;
  }
  if (store && (convert || transpose || pad_rows != 0 || cols != 0)) return ErrorCode::kUnsupported;
  if (convert && config_.OperandBytes() != 2) return ErrorCode::kUnsupported;
  const int64_t half = d.Get(FieldId::kHalf);
  if (half != 0 && (store || !convert || half == 3 || !config_.wide_gradients)) {
    return ErrorCode::kUnsupported;
  }
  if (!transpose && cols != 0) return ErrorCode::kUnsupported;
  const int64_t row_ops =
      d.Get(FieldId::kRowAccesses) * config_.access_bytes / (convert ? 4 : config_.OperandBytes());
  if (transpose && (row_ops > config_.TurnOperands() || cols > row_ops)) {
    return ErrorCode::kUnsupported;
  }

  const int64_t word = config_.WordBytes();
  const int64_t beat = config_.data_bits / 8;
  if (!IsMultiple(d.Get(FieldId::kDramAddr), config_.access_bytes) ||
      !IsMultiple(d.Get(FieldId::kDramPitch), config_.access_bytes) ||
      !IsMultiple(d.Get(FieldId::kSpadAddr), transpose ? beat : word) ||
      !IsMultiple(d.Get(FieldId::kSpadPitch), word) ||
      (transpose && !IsMultiple(rows + pad_rows, beat / config_.OperandBytes()))) {
    return ErrorCode::kAlignment;
  }
  if (Unsigned(d, FieldId::kSpadAddr) >= scratchpad_.size()) return ErrorCode::kScratchpad;

  const uint64_t begin = Unsigned(d, FieldId::kDramAddr);
  const uint64_t row_bytes = Unsigned(d, FieldId::kRowAccesses) * config_.access_bytes;
  const uint64_t end =
      begin + static_cast<uint64_t>(rows - 1) * Unsigned(d, FieldId::kDramPitch) + row_bytes;
  if (begin < window_base_ || end > window_base_ + window_size_) return ErrorCode::kWindow;
  return ErrorCode::kNone;
}

ErrorCode Machine::CheckCompute(const Descriptor& d) const {
  if (AnyZero(d, FieldId::kBound)) return ErrorCode::kZeroCount;
  const bool halves = d.Get(FieldId::kHalves);
  if (halves && !config_.wide_gradients) return ErrorCode::kUnsupported;
  const int b_level = static_cast<int>(d.Get(FieldId::kBLevel));
  const int store_level = static_cast<int>(d.Get(FieldId::kStoreLevel));
  if (b_level < 1 || b_level > store_level || store_level > kLoops) return ErrorCode::kLevel;
  if (!d.Get(FieldId::kFirst) || !d.Get(FieldId::kLast)) {
    for (int k = store_level; k < kLoops; ++k) {
      if (d.Get(FieldId::kBound, k) != 1) return ErrorCode::kLevel;
    }
  }
  if (halves && (store_level == b_level || d.Get(FieldId::kBound, store_level - 1) != 2)) {
    return ErrorCode::kLevel;
  }
  const uint64_t words = scratchpad_.size() / config_.WordBytes();
  if (Unsigned(d, FieldId::kABase) >= words || Unsigned(d, FieldId::kBBase) >= words) {
    return ErrorCode::kScratchpad;
  }
  const uint64_t most = static_cast<uint64_t>(config_.acc_depth / 2);
  if (ProductBelow(d, FieldId::kBound, b_level, most) > most) return ErrorCode::kAccumulators;
  return ErrorCode::kNone;
}

ErrorCode Machine::CheckVector(const Descriptor& d) const {
  if (AnyZero(d, FieldId::kVBound)) return ErrorCode::kZeroCount;
  const int aux_kind = static_cast<int>(d.Get(FieldId::kAuxKind));
  if (aux_kind > static_cast<int>(isa::Aux::kMask)) return ErrorCode::kUnsupported;
  const int64_t pop_level = d.Get(FieldId::kPopLevel);
  if (pop_level < 1 || pop_level > kLoops) return ErrorCode::kLevel;

  const bool use_aux = aux_kind != static_cast<int>(isa::Aux::kNone);
  const int64_t out_bytes = config_.cols * (d.Get(FieldId::kOutFp32) ? 4 : config_.OperandBytes());
  const int64_t aux_bytes =
      config_.cols * (aux_kind == static_cast<int>(isa::Aux::kAdd) ? 4 : config_.OperandBytes());
  bool aligned = IsMultiple(d.Get(FieldId::kOutBase), out_bytes) &&
                 (!use_aux || IsMultiple(d.Get(FieldId::kAuxBase), aux_bytes));
  for (int k = 0; k < kLoops; ++k) {
    aligned = aligned && IsMultiple(d.Get(FieldId::kOutInc, k), out_bytes) &&
              (!use_aux || IsMultiple(d.Get(FieldId::kAuxInc, k), aux_bytes));
  }
  if (!aligned) return ErrorCode::kAlignment;
  if (Unsigned(d, FieldId::kOutBase) >= scratchpad_.size() ||
      (use_aux && Unsigned(d, FieldId::kAuxBase) >= scratchpad_.size())) {
    return ErrorCode::kScratchpad;
  }
  return ErrorCode::kNone;
}

ErrorCode Machine::CheckElements(const Descriptor& d) const {
  if (AnyZero(d, FieldId::kVBound)) return ErrorCode::kZeroCount;
  const int aux_kind = static_cast<int>(d.Get(FieldId::kAuxKind));
  if (aux_kind > static_cast<int>(isa::Aux::kMask)) return ErrorCode::kUnsupported;
  for (int k = 3; k < kLoops; ++k) {
    if (d.Get(FieldId::kVBound, k) != 1) return ErrorCode::kLevel;
  }
  const bool use_aux = aux_kind != static_cast<int>(isa::Aux::kNone);
  const int64_t wide_bytes = config_.cols * 4;
  const int64_t operand_bytes = config_.cols * config_.OperandBytes();
  const int64_t out_bytes = d.Get(FieldId::kOutFp32) ? wide_bytes : operand_bytes;
  const int64_t aux_bytes =
      aux_kind == static_cast<int>(isa::Aux::kAdd) ? wide_bytes : operand_bytes;
  bool aligned = IsMultiple(d.Get(FieldId::kOutBase), out_bytes) &&
                 IsMultiple(d.Get(FieldId::kSrcBase), wide_bytes) &&
                 (!use_aux || IsMultiple(d.Get(FieldId::kAuxBase), aux_bytes));
  for (int k = 0; k < 3; ++k) {
    aligned = aligned && IsMultiple(d.Get(FieldId::kEOutInc, k), out_bytes) &&
              IsMultiple(d.Get(FieldId::kSrcInc, k), wide_bytes) &&
              (!use_aux || IsMultiple(d.Get(FieldId::kEAuxInc, k), aux_bytes));
  }
  if (!aligned) return ErrorCode::kAlignment;
  if (Unsigned(d, FieldId::kOutBase) >= scratchpad_.size() ||
      Unsigned(d, FieldId::kSrcBase) >= scratchpad_.size() ||
      (use_aux && Unsigned(d, FieldId::kAuxBase) >= scratchpad_.size())) {
    return ErrorCode::kScratchpad;
  }
  return ErrorCode::kNone;
}

ErrorCode Machine::CheckSend(const Descriptor& d) const {
  using isa::Group;
  using isa::SendKind;
  const auto kind = static_cast<SendKind>(d.Get(FieldId::kSendKind));
  const auto group = static_cast<Group>(d.Get(FieldId::kGroup));
  const int64_t rows = d.Get(FieldId::kSendRows);
  if ((kind == SendKind::kReduce && rows == 0) || (rows != 0 && d.Get(FieldId::kRowFlits) == 0)) {
    return ErrorCode::kZeroCount;
  }
  const int64_t x = d.Get(FieldId::kOwnerX);
  const int64_t y = d.Get(FieldId::kOwnerY);
  const bool to_owner =
      kind == SendKind::kReduce || (kind == SendKind::kPut && group == Group::kOwner);
  if (kind > SendKind::kReduce ||
      (kind == SendKind::kTokens && (rows != 0 || d.Get(FieldId::kPost))) ||
      (kind == SendKind::kReduce &&
       (group == Group::kOwner || (group == Group::kRow && y != config_.y) ||
        (group == Group::kColumn && x != config_.x))) ||
      (to_owner && (x > config_.last_x || y > config_.last_y)) ||
      (d.Get(FieldId::kTake, 0) != 0 && d.Get(FieldId::kTake, 1) != 0 &&
       d.Get(FieldId::kTakeSem, 0) == d.Get(FieldId::kTakeSem, 1))) {
    return ErrorCode::kUnsupported;
  }
  for (FieldId id :
       {FieldId::kSendAddr, FieldId::kSendPitch, FieldId::kDstAddr, FieldId::kDstPitch}) {
    if (!IsMultiple(d.Get(id), config_.link_bytes)) return ErrorCode::kAlignment;
  }
  if (rows != 0 && (Unsigned(d, FieldId::kSendAddr) >= scratchpad_.size() ||
                    Unsigned(d, FieldId::kDstAddr) >= scratchpad_.size())) {
    return ErrorCode::kScratchpad;
  }
  return ErrorCode::kNone;
}

ErrorCode Machine::CheckSoftmax(const Descriptor& d) const {
  if (d.Get(FieldId::kSRows) == 0 || d.Get(FieldId::kClasses) == 0) return ErrorCode::kZeroCount;
  if (d.Get(FieldId::kClasses) > config_.softmax_classes) return ErrorCode::kUnsupported;
  constexpr FieldId kAddresses[] = {FieldId::kLogitsAddr, FieldId::kLabelsAddr, FieldId::kGradAddr,
                                    FieldId::kLossAddr};
  for (FieldId id : {FieldId::kLogitsPitch, FieldId::kGradPitch}) {
    if (!IsMultiple(d.Get(id), config_.WordBytes())) return ErrorCode::kAlignment;
  }
  for (FieldId id : kAddresses) {
    if (!IsMultiple(d.Get(id), config_.WordBytes())) return ErrorCode::kAlignment;
  }
  for (FieldId id : kAddresses) {
    if (Unsigned(d, id) >= scratchpad_.size()) return ErrorCode::kScratchpad;
  }
  return ErrorCode::kNone;
}

ErrorCode Machine::CheckLanes(const Descriptor& d) const {
  const int64_t words = d.Get(FieldId::kLInit) + d.Get(FieldId::kLBody) + d.Get(FieldId::kLFinal);
  if (d.Get(FieldId::kLGroups) == 0 || AnyZero(d, FieldId::kLBound) || words == 0) {
    return ErrorCode::kZeroCount;
  }
  if (d.Get(FieldId::kLGroups) > isa::kLaneGroups || words > isa::kLaneInstructions) {
    return ErrorCode::kUnsupported;
  }
  const int64_t slot = int64_t{config_.cols} * config_.OperandBytes();
  for (int s = 0; s < isa::kLaneStreams; ++s) {
    if (!IsMultiple(d.Get(FieldId::kLBase, s), slot)) return ErrorCode::kAlignment;
  }
  for (int s = 0; s < isa::kLaneStreams; ++s) {
    if (Unsigned(d, FieldId::kLBase, s) >= scratchpad_.size()) return ErrorCode::kScratchpad;
  }
  if (Unsigned(d, FieldId::kLProgram) >= scratchpad_.size() / config_.WordBytes()) {
    return ErrorCode::kScratchpad;
  }
  return ErrorCode::kNone;
}

// ---- run

RunResult Machine::Run(uint64_t program_address, uint32_t count) {
  Begin(program_address, count);
  if (!Continue()) result_.fault = OrderFault::kNoTokens;
  return result_;
}

void Machine::Begin(uint64_t program_address, uint32_t count) {
  program_address_ = program_address;
  count_ = count;
  result_ = {};
  semaphores_ = {};
  tokens_.fill(0);
  sets_.clear();
  messages_.clear();
  if (order_) order_->Clear();
  // The engines' random numbers start again with a program, other ones in each node.
  const uint32_t seed =
      seed_ ^ static_cast<uint32_t>(config_.y) << 29 ^ static_cast<uint32_t>(config_.x) << 26;
  column_noise_.clear();
  for (int c = 0; c < config_.cols; ++c) column_noise_.emplace_back(c, seed);
  softmax_noise_ = Noise(kSoftmaxStream, seed);
}

std::string Machine::RaceText() const {
  return order_ && order_->race() ? order_->race()->Text() : "";
}

bool Machine::Continue() {
  for (; result_.index < count_; ++result_.index) {
    Descriptor d;
    Read(program_address_ + uint64_t{isa::kDescriptorBytes} * result_.index, d.bytes());
    result_.error = Check(d);
    if (result_.error != ErrorCode::kNone) return true;
    const Opcode opcode = static_cast<Opcode>(d.Get(FieldId::kOpcode));
    if (opcode == Opcode::kSend && !TakeTokens(d)) return false;

    const int engine = static_cast<int>(isa::EngineOf(opcode));  // END: no tokens
    const uint64_t wait = Unsigned(d, FieldId::kWait);
    for (int from = 0; from < isa::kEngines; ++from) {
      if (!(wait >> from & 1)) continue;
      if (semaphores_[from][engine] == 0) {
        result_.fault = OrderFault::kSemaphoreZero;
        return true;
      }
      --semaphores_[from][engine];
    }
    if (order_ && opcode != Opcode::kEnd) {
      order_->Start(result_.index, isa::EngineOf(opcode), wait);
    }
    switch (opcode) {
      case Opcode::kLoad:
        Load(d, result_.counts);
        break;
      case Opcode::kStore:
        Store(d, result_.counts);
        break;
      case Opcode::kCompute:
        Compute(d, result_.counts);
        break;
      case Opcode::kVector:
        result_.fault = Vector(d);
        break;
      case Opcode::kElements:
        Elements(d);
        break;
      case Opcode::kSoftmax:
        Softmax(d);
        break;
      case Opcode::kSend:
        Send(d, result_.counts);
        break;
      case Opcode::kLanes:
        Lanes(d);
        break;
      case Opcode::kEnd:
        break;
    }
    const uint64_t signal = Unsigned(d, FieldId::kSignal);
    if (order_ && opcode != Opcode::kEnd) {
      order_->Complete(signal);
      if (order_->race()) result_.fault = OrderFault::kRace;
    }
    if (result_.fault != OrderFault::kNone) return true;
    for (int to = 0; to < isa::kEngines; ++to) {
      if (!(signal >> to & 1)) continue;
      if (++semaphores_[engine][to] >= 1 << isa::kSemaphoreBits) {
        result_.error = ErrorCode::kSemaphore;
        return true;
      }
    }
    ++result_.counts.descriptors;
    if (opcode == Opcode::kEnd) return true;
  }
  result_.error = ErrorCode::kNoEnd;
  return true;
}

// ---- load and store

void Machine::Load(const Descriptor& d, Counts& counts) {
  const bool convert = d.Get(FieldId::kConvert);
  const bool transpose = d.Get(FieldId::kTranspose);
  const int64_t half = d.Get(FieldId::kHalf);
  const uint64_t rows = Unsigned(d, FieldId::kRows);
  const uint64_t pad_rows = Unsigned(d, FieldId::kPadRows);
  const uint64_t dram_pitch = Unsigned(d, FieldId::kDramPitch);
  const uint64_t spad_addr = Unsigned(d, FieldId::kSpadAddr);
  const uint64_t spad_pitch = Unsigned(d, FieldId::kSpadPitch);
  const uint64_t operand_bytes = static_cast<uint64_t>(config_.OperandBytes());
  // Masters go to nearest also where results are rounded at random.
  const Rounding rounding =
      config_.rounding == Rounding::kTruncate ? Rounding::kTruncate : Rounding::kNearest;
  std::vector<uint8_t> row(Unsigned(d, FieldId::kRowAccesses) * config_.access_bytes);
  const size_t row_bytes = convert ? row.size() / 2 : row.size();
  const uint64_t cols = std::min<uint64_t>(Unsigned(d, FieldId::kCols), row_bytes / operand_bytes);
  for (uint64_t r = 0; r < rows + pad_rows; ++r) {
    if (r < rows) {
      Read(Unsigned(d, FieldId::kDramAddr) + r * dram_pitch, row);
      counts.dram_read_bytes += row.size();
      for (size_t i = 0; convert && i < row.size() / 4; ++i) {
        const uint32_t value = Get32(row.data() + 4 * i);
        uint32_t operand = 0;
        if (half == 0) {
          operand = ToOperand(config_.operand, value, rounding, 0);
        } else {
          const Fx32 wide = ToFx32(config_.operand.fraction_bits, value);
          operand = static_cast<uint16_t>(half == 1 ? wide.high : wide.low);
        }
        Put(row.data() + 2 * i, operand, 2);
      }
    } else if (r == rows) {
      std::fill(row.begin(), row.end(), uint8_t{0});
    }
    if (!transpose) {
      WriteScratchpad(spad_addr + r * spad_pitch, std::span(row).first(row_bytes));
      continue;
    }
    for (uint64_t c = 0; c < cols; ++c) {
      WriteScratchpad(spad_addr + c * spad_pitch + r * operand_bytes,
                      std::span(row).subspan(c * operand_bytes, operand_bytes));
    }
  }
}

void Machine::Store(const Descriptor& d, Counts& counts) {
  std::vector<uint8_t> row(Unsigned(d, FieldId::kRowAccesses) * config_.access_bytes);
  for (uint64_t r = 0; r < Unsigned(d, FieldId::kRows); ++r) {
    ReadScratchpad(Unsigned(d, FieldId::kSpadAddr) + r * Unsigned(d, FieldId::kSpadPitch), row);
    Write(Unsigned(d, FieldId::kDramAddr) + r * Unsigned(d, FieldId::kDramPitch), row);
    counts.dram_write_bytes += row.size();
  }
}

// ---- loop nests

// Six nested loops, the innermost first.
struct Machine::Nest {
  Nest(const Descriptor& d, FieldId bound_field) {
    for (int k = 0; k < kLoops; ++k) bound[k] = static_cast<uint32_t>(d.Get(bound_field, k));
  }

  // Steps to the next iteration of loops from `from` up, those below being complete. Returns the
  // outermost loop that advances, kLoops at the end of the nest.
  int Advance(int from) {
    int k = from;
    while (k < kLoops && ++index[k] == bound[k]) index[k++] = 0;
    return k;
  }

  bool IsFirst(int from, int to) const {
    return std::all_of(index.begin() + from, index.begin() + to, [](uint32_t i) { return i == 0; });
  }

  std::array<uint32_t, kLoops> bound{};
  std::array<uint32_t, kLoops> index{};
};

void Machine::Compute(const Descriptor& d, Counts& counts) {
  const bool first = d.Get(FieldId::kFirst);
  const bool last = d.Get(FieldId::kLast);
  const bool halves = d.Get(FieldId::kHalves);
  const int b_level = static_cast<int>(d.Get(FieldId::kBLevel));
  const int store_level = static_cast<int>(d.Get(FieldId::kStoreLevel));
  const size_t cols = static_cast<size_t>(config_.cols);
  const uint32_t words = config_.scratchpad_bytes / config_.WordBytes();
  std::array<uint16_t, kLoops> a_inc;
  std::array<uint16_t, kLoops> b_inc;
  for (int k = 0; k < kLoops; ++k) {
    a_inc[k] = static_cast<uint16_t>(d.Get(FieldId::kAInc, k));
    b_inc[k] = static_cast<uint16_t>(d.Get(FieldId::kBInc, k));
  }
  const uint16_t b_col_inc = static_cast<uint16_t>(d.Get(FieldId::kBColInc));
  uint16_t a = static_cast<uint16_t>(d.Get(FieldId::kABase));
  uint16_t b = static_cast<uint16_t>(d.Get(FieldId::kBBase));

  Nest nest(d, FieldId::kBound);
  const uint32_t run = nest.bound[0];  // the PE array takes the innermost loop as a whole
  const uint64_t most = static_cast<uint64_t>(config_.acc_depth / 2);
  const size_t set_sums = ProductBelow(d, FieldId::kBound, b_level, most) * cols;
  std::vector<uint32_t> b_words(cols);
  std::vector<bool> was_read(order_ ? words : 0);
  size_t entry = 0;
  for (int advanced = kLoops; true;) {
    if (advanced >= b_level) {  // a new B tile, the first one included
      entry = 0;
      for (size_t c = 0; c < cols; ++c) {
        b_words[c] = static_cast<uint16_t>(b + c * b_col_inc) % words;
      }
    }
    const bool initialise = first && nest.IsFirst(b_level, store_level);
    const bool low = halves && nest.index[store_level - 1] == 1;
    pe_array_.Run(a, a_inc[0], run, b_words, initialise, sums_.data() + entry * cols, low);
    if (order_) {
      for (const uint32_t b_word : b_words) was_read[b_word] = true;
      for (uint32_t i = 0; i < run; ++i) {
        was_read[static_cast<uint16_t>(a + i * a_inc[0]) % words] = true;
      }
    }
    counts.macs += uint64_t{run} * cols * config_.rows * config_.lanes;
    entry += run;

    advanced = nest.Advance(1);
    if (advanced >= store_level && last) {
      sets_.emplace_back(sums_.begin(), sums_.begin() + set_sums);
      if (order_) order_->HandOver();
    }
    if (advanced == kLoops) break;
    a = static_cast<uint16_t>(a + (run - 1) * a_inc[0] + a_inc[advanced]);
    if (advanced >= b_level) b = static_cast<uint16_t>(b + b_inc[advanced]);
  }
  for (uint32_t w = 0; w < was_read.size(); ++w) {
    if (!was_read[w]) continue;
    order_->Access(OrderChecker::Space::kScratchpad, uint64_t{w} * config_.WordBytes(),
                   config_.WordBytes(), false);
  }
}

// The results of an entry, one a column, as they lie in the scratchpad.
void Machine::PutResults(std::span<const uint32_t> values, bool wide, std::vector<uint8_t>& out) {
  for (size_t c = 0; c < values.size(); ++c) {
    const uint32_t noise = column_noise_[c].Next();
    const uint32_t value =
        wide ? values[c] : ToOperand(config_.operand, values[c], config_.rounding, noise);
    const int bytes = wide ? 4 : config_.OperandBytes();
    Put(out.data() + c * static_cast<size_t>(bytes), value, bytes);
  }
}

// What VECTOR and ELEMENTS make of one value of each column.
struct Machine::Post {
  Post(const Descriptor& d, const MachineConfig& config, std::span<const uint32_t> scalars)
      : tail_loop(static_cast<int>(d.Get(FieldId::kTailLoop))),
        aux_kind(static_cast<isa::Aux>(d.Get(FieldId::kAuxKind))),
        out_bytes(d.Get(FieldId::kOutFp32) ? 4 : config.OperandBytes()),
        aux_bytes(aux_kind == isa::Aux::kAdd ? 4 : config.OperandBytes()),
        // An accumulator is worth mantissa * 2^(exponent - 254 - (align_bits - 2)).
        exp_zero(254 + config.align_bits - 2),
        values(static_cast<size_t>(config.cols)),
        results(values.size()),
        aux(values.size() * static_cast<size_t>(aux_bytes)),
        out(values.size() * static_cast<size_t>(out_bytes)),
        zeros(config.WordBytes()) {
    in.use_scale = d.Get(FieldId::kUseScale);
    in.add_aux = aux_kind == isa::Aux::kAdd;
    in.relu = d.Get(FieldId::kRelu);
    in.mask = aux_kind == isa::Aux::kMask;
    in.scale = scalars[Unsigned(d, FieldId::kScalar)];
  }
  int tail_loop;
  isa::Aux aux_kind;
  int out_bytes, aux_bytes, exp_zero;
  VectorLaneInput in;
  std::vector<Accumulator> values;
  std::vector<uint32_t> results;
  std::vector<uint8_t> aux, out;
  std::vector<uint8_t> zeros;  // behind the last results of a row up to the end of the word
};

void Machine::PutPosted(Post& post, const Nest& nest, uint64_t out_address, uint64_t aux_address) {
  if (post.aux_kind != isa::Aux::kNone) ReadScratchpad(aux_address, post.aux);
  for (size_t c = 0; c < post.values.size(); ++c) {
    VectorLaneInput& in = post.in;
    in.acc = post.values[c];
    const uint8_t* operand = post.aux.data() + c * static_cast<size_t>(post.aux_bytes);
    if (in.add_aux) in.aux = Get32(operand);
    if (in.mask) {
      in.positive =
          OperandIsPositive(config_.operand, post.aux_bytes == 2 ? Get16(operand) : Get32(operand));
    }
    post.results[c] = VectorLane(in, post.exp_zero);
  }
  PutResults(post.results, post.out_bytes == 4, post.out);
  WriteScratchpad(out_address, post.out);
  if (post.tail_loop < kLoops && nest.index[post.tail_loop] + 1 == nest.bound[post.tail_loop]) {
    const uint64_t end = out_address + post.out.size();
    const uint64_t word = post.zeros.size();
    WriteScratchpad(end, std::span(post.zeros).first((word - end % word) % word));
  }
}

OrderFault Machine::Vector(const Descriptor& d) {
  const int pop_level = static_cast<int>(d.Get(FieldId::kPopLevel));
  Post post(d, config_, scalars_);
  uint64_t out_address = Unsigned(d, FieldId::kOutBase);
  uint64_t aux_address = Unsigned(d, FieldId::kAuxBase);
  Nest nest(d, FieldId::kVBound);
  size_t taken = 0;  // sums of the current set
  for (;;) {
    if (sets_.empty()) return OrderFault::kNoSums;
    const std::vector<Sum>& set = sets_.front();
    if (taken + post.values.size() > set.size()) return OrderFault::kFewSums;
    for (Accumulator& value : post.values) {
      const Sum& sum = set[taken++];
      value = {sum.nan, static_cast<uint32_t>(sum.exponent), sum.mantissa};
    }
    PutPosted(post, nest, out_address, aux_address);
    const int advanced = nest.Advance(0);
    if (advanced >= pop_level) {
      sets_.pop_front();
      if (order_) order_->TakeOver();
      taken = 0;
    }
    if (advanced == kLoops) return OrderFault::kNone;
    out_address = (out_address + Unsigned(d, FieldId::kOutInc, advanced)) & kScratchpadAddressMask;
    aux_address = (aux_address + Unsigned(d, FieldId::kAuxInc, advanced)) & kScratchpadAddressMask;
  }
}

// As VECTOR, with fp32 values of the scratchpad in place of sums.
void Machine::Elements(const Descriptor& d) {
  Post post(d, config_, scalars_);
  uint64_t out_address = Unsigned(d, FieldId::kOutBase);
  uint64_t src_address = Unsigned(d, FieldId::kSrcBase);
  uint64_t aux_address = Unsigned(d, FieldId::kAuxBase);
  std::vector<uint8_t> source(post.values.size() * 4);
  Nest nest(d, FieldId::kVBound);
  for (;;) {
    ReadScratchpad(src_address, source);
    for (size_t c = 0; c < post.values.size(); ++c) {
      post.values[c] = AccumulatorOf(Get32(source.data() + 4 * c), post.exp_zero);
    }
    PutPosted(post, nest, out_address, aux_address);
    const int advanced = nest.Advance(0);
    if (advanced == kLoops) return;
    out_address = (out_address + Unsigned(d, FieldId::kEOutInc, advanced)) & kScratchpadAddressMask;
    src_address = (src_address + Unsigned(d, FieldId::kSrcInc, advanced)) & kScratchpadAddressMask;
    aux_address = (aux_address + Unsigned(d, FieldId::kEAuxInc, advanced)) & kScratchpadAddressMask;
  }
}

void Machine::Lanes(const Descriptor& d) {
  LaneJob job;
  job.cols = config_.cols;
  job.operand = config_.operand;
  job.word_bytes = config_.WordBytes();
  job.scalars = scalars_;
  job.read = [this](uint64_t address, std::span<uint8_t> bytes) { ReadScratchpad(address, bytes); };
  job.write = [this](uint64_t address, std::span<const uint8_t> bytes) {
    WriteScratchpad(address, bytes);
  };
  RunLanes(d, job);
}

// ---- mesh

bool Message::Matches(const Message& other) const {
  return kind == other.kind && group == other.group && owner_x == other.owner_x &&
         owner_y == other.owner_y && post == other.post && post_semaphore == other.post_semaphore &&
         address == other.address && pitch == other.pitch && rows == other.rows &&
         row_bytes == other.row_bytes;
}

bool Machine::TakeTokens(const Descriptor& d) {
  for (int i = 0; i < 2; ++i) {
    if (tokens_[Unsigned(d, FieldId::kTakeSem, i)] < Unsigned(d, FieldId::kTake, i)) return false;
  }
  for (int i = 0; i < 2; ++i) {
    uint8_t& tokens = tokens_[Unsigned(d, FieldId::kTakeSem, i)];
    tokens = static_cast<uint8_t>(tokens - Unsigned(d, FieldId::kTake, i));
  }
  return true;
}

void Machine::Send(const Descriptor& d, Counts& counts) {
  Message message;
  message.kind = static_cast<isa::SendKind>(d.Get(FieldId::kSendKind));
  if (message.kind == isa::SendKind::kTokens) return;
  message.group = static_cast<isa::Group>(d.Get(FieldId::kGroup));
  message.owner_x = static_cast<int>(d.Get(FieldId::kOwnerX));
  message.owner_y = static_cast<int>(d.Get(FieldId::kOwnerY));
  message.post = d.Get(FieldId::kPost);
  message.post_semaphore = static_cast<int>(d.Get(FieldId::kPostSem));
  message.address = Unsigned(d, FieldId::kDstAddr);
  message.pitch = Unsigned(d, FieldId::kDstPitch);
  message.rows = Unsigned(d, FieldId::kSendRows);
  message.row_bytes = Unsigned(d, FieldId::kRowFlits) * static_cast<uint64_t>(config_.link_bytes);
  message.bytes.resize(message.rows * message.row_bytes);
  for (uint64_t r = 0; r < message.rows; ++r) {
    ReadScratchpad(Unsigned(d, FieldId::kSendAddr) + r * Unsigned(d, FieldId::kSendPitch),
                   std::span(message.bytes).subspan(r * message.row_bytes, message.row_bytes));
  }
  counts.noc_bytes += message.bytes.size();
  messages_.push_back(std::move(message));
}

void Machine::Receive(const Message& message) {
  for (uint64_t r = 0; r < message.rows; ++r) {
    if (order_) order_->Receive(message.address + r * message.pitch, message.row_bytes);
    WriteScratchpad(message.address + r * message.pitch,
                    std::span(message.bytes).subspan(r * message.row_bytes, message.row_bytes));
  }
  if (!message.post) return;
  uint8_t& tokens = tokens_[message.post_semaphore];
  if (++tokens >= 1 << isa::kSemaphoreBits) result_.fault = OrderFault::kTooManyTokens;
}

// ---- softmax

void Machine::Softmax(const Descriptor& d) {
  const size_t classes = Unsigned(d, FieldId::kClasses);
  // Gradients that are to be fx32 stay fp32.
  const bool wide = config_.wide_gradients;
  const size_t gradient_size = wide ? 4 : static_cast<size_t>(config_.OperandBytes());
  const uint32_t scale = scalars_[Unsigned(d, FieldId::kSScalar)];
  std::vector<uint8_t> logit_bytes(classes * 4);
  std::vector<uint32_t> logits(classes);
  const uint64_t word = config_.WordBytes();
  std::vector<uint8_t> gradient_bytes((classes * gradient_size + word - 1) / word * word);
  const uint64_t rows = Unsigned(d, FieldId::kSRows);
  std::vector<uint8_t> loss_bytes((rows * 4 + word - 1) / word * word);
  for (uint64_t r = 0; r < rows; ++r) {
    ReadScratchpad(Unsigned(d, FieldId::kLogitsAddr) + r * Unsigned(d, FieldId::kLogitsPitch),
                   logit_bytes);
    for (size_t c = 0; c < classes; ++c) logits[c] = Get32(logit_bytes.data() + 4 * c);
    std::array<uint8_t, 2> label;
    ReadScratchpad(Unsigned(d, FieldId::kLabelsAddr) + 2 * r, label);
    const SoftmaxRowResult result = SoftmaxRow(logits, Get16(label.data()), scale,
                                               static_cast<size_t>(config_.softmax_classes));
    for (size_t c = 0; c < classes; ++c) {
      const uint32_t noise = softmax_noise_.Next();
      Put(gradient_bytes.data() + c * gradient_size,
          wide ? result.gradient[c]
               : ToOperand(config_.operand, result.gradient[c], config_.rounding, noise),
          static_cast<int>(gradient_size));
    }
    WriteScratchpad(Unsigned(d, FieldId::kGradAddr) + r * Unsigned(d, FieldId::kGradPitch),
                    gradient_bytes);
    Put(loss_bytes.data() + 4 * r, result.loss, 4);
  }
  WriteScratchpad(Unsigned(d, FieldId::kLossAddr), loss_bytes);
}

}  // namespace vaultrain::golden
