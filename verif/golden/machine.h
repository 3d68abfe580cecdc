// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Golden model of a node: runs a program's descriptors one after another and leaves the memory the
// RTL leaves.
//
// Numerics are those of golden/dot.h, golden/fp32.h, golden/operand.h, golden/softmax.h and
// golden/lanes.h. A
// descriptor is checked in full before it does anything, in the order of ErrorCode checks below; it
// shares the program format with the RTL and no arithmetic source.
//
// Order of checks: opcode, reserved bits, zero counts, unsupported, levels, alignment, scratchpad,
// window, accumulators.

#ifndef VAULTRAIN_GOLDEN_MACHINE_H_
#define VAULTRAIN_GOLDEN_MACHINE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "golden/dot.h"
#include "golden/operand.h"
#include "golden/order.h"
#include "vaultrain/isa.h"

namespace vaultrain::golden {

struct MachineConfig {
  int rows = 1;
  int cols = 4;
  int lanes = 16;
  OperandFormat operand;
  bool wide_gradients = false;             // of fx32, with operands of fx16 (golden/operand.h)
  Rounding rounding = Rounding::kNearest;  // of results into operands
  int align_bits = 24;
  int acc_depth = 256;  // entries of `cols` accumulators, in two halves
  int softmax_classes = 256;
  uint32_t scratchpad_bytes = 262144;
  uint64_t dram_bytes = uint64_t{1} << 32;
  int data_bits = 64;          // of a beat between the vault and the DMA
  int access_bytes = 64;       // of a vault access
  int turn_beats = 32;         // of a row that a transposed LOAD can take
  int link_bytes = 16;         // payload of a flit of the mesh
  int x = 0, y = 0;            // of the node
  int last_x = 0, last_y = 0;  // of the mesh
  bool check_order = false;    // a race between engines is a fault (golden/order.h)

  int OperandBytes() const { return operand.Bytes(); }
  // A scratchpad word: what the PE array takes of one operand in a cycle.
  uint32_t WordBytes() const { return static_cast<uint32_t>(rows * lanes * OperandBytes()); }
  // Operands of the longest row that a transposed LOAD can take.
  int TurnOperands() const { return turn_beats * data_bits / 8 / OperandBytes(); }
  DotFormat Dot() const {
    return {lanes, DotFormat::ManBits(operand.number), align_bits, operand.fraction_bits,
            wide_gradients ? kGuardBits : 0};
  }
};

// A program that is well-formed, but waits for something that its own earlier descriptors do not
// provide.
enum class OrderFault : uint8_t {
  kNone,
  kSemaphoreZero,  // waits for a semaphore that is zero in program order
  kNoSums,         // VECTOR finds no set of sums
  kFewSums,        // VECTOR reads more entries than the set of sums has
  kNoTokens,       // SEND waits for tokens that nobody gives
  kTooManyTokens,  // a mesh semaphore passes 63
  kMismatch,       // nodes of a group reduce different things
  kRace,           // two engines touch the same bytes and no token orders them
};

struct Counts {
  uint64_t descriptors = 0;       // completed
  uint64_t macs = 0;              // issued, with padding: rows * cols * lanes a step of COMPUTE
  uint64_t dram_read_bytes = 0;   // by LOAD
  uint64_t dram_write_bytes = 0;  // by STORE
  uint64_t noc_bytes = 0;         // payloads that SEND gave to the mesh
};

// What a SEND hands to the mesh: rows as they were when it ran.
struct Message {
  isa::SendKind kind = isa::SendKind::kPut;
  isa::Group group = isa::Group::kOwner;
  int owner_x = 0, owner_y = 0;
  bool post = false;
  int post_semaphore = 0;
  uint64_t address = 0;  // at the receivers
  uint64_t pitch = 0;
  uint64_t rows = 0;
  uint64_t row_bytes = 0;
  std::vector<uint8_t> bytes;  // rows of row_bytes

  // Whether two nodes mean the same reduction.
  bool Matches(const Message& other) const;
};

struct RunResult {
  isa::ErrorCode error = isa::ErrorCode::kNone;
  OrderFault fault = OrderFault::kNone;
  uint32_t index = 0;  // of END or of the offending descriptor; `count` for kNoEnd
  Counts counts;

  bool ok() const { return error == isa::ErrorCode::kNone && fault == OrderFault::kNone; }
};

// Byte-addressed memory, zero where never written, allocated in pages when written.
class SparseMemory {
 public:
  void Write(uint64_t address, std::span<const uint8_t> bytes);
  void Read(uint64_t address, std::span<uint8_t> bytes) const;

 private:
  static constexpr uint64_t kPageBytes = 1 << 16;
  using Page = std::array<uint8_t, kPageBytes>;

  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
};

class Machine {
 public:
  // Throws std::invalid_argument on a configuration that cannot be built.
  explicit Machine(const MachineConfig& config);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  const MachineConfig& config() const { return config_; }

  // The host's view of the vault; throws std::out_of_range beyond dram_bytes.
  void Write(uint64_t address, std::span<const uint8_t> bytes);
  void Read(uint64_t address, std::span<uint8_t> bytes) const;

  // fp32 bits.
  void SetScalar(int index, uint32_t bits) { scalars_.at(static_cast<size_t>(index)) = bits; }
  uint32_t Scalar(int index) const { return scalars_.at(static_cast<size_t>(index)); }

  // What random numbers of the next runs start from.
  void SetSeed(uint32_t seed) { seed_ = seed; }

  // What LOAD and STORE may touch; at first the whole vault.
  void SetWindow(uint64_t base, uint64_t size);

  // The first broken rule, for a node of this configuration with this window.
  isa::ErrorCode Check(const isa::Descriptor& descriptor) const;

  // Runs descriptors from vault memory up to END. Semaphores, tokens and sums start empty; the
  // scratchpad keeps what it had. Throws std::out_of_range if descriptors lie beyond the vault. A
  // SEND that waits for tokens is a fault, for a lone node has nobody to give them.
  RunResult Run(uint64_t program_address, uint32_t count);

  // The same in parts, for a node among others (golden/module.h): Continue returns true at the end
  // of the program (result() tells how) and false where a SEND waits for tokens.
  void Begin(uint64_t program_address, uint32_t count);
  bool Continue();
  const RunResult& result() const { return result_; }
  // What kRace is about.
  std::string RaceText() const;
  // What SENDs handed over since the last call, in order.
  std::vector<Message> TakeMessages() { return std::exchange(messages_, {}); }
  // What comes from the mesh: rows for the scratchpad, then the token if the message has one.
  void Receive(const Message& message);

  // Scratchpad bytes, zero at first; addresses wrap at its size.
  void ReadScratchpad(uint64_t address, std::span<uint8_t> bytes) const;

 private:
  struct Nest;
  struct Post;

  void PutResults(std::span<const uint32_t> values, bool wide, std::vector<uint8_t>& out);
  void WriteScratchpad(uint64_t address, std::span<const uint8_t> bytes);
  isa::ErrorCode CheckMove(const isa::Descriptor& d) const;
  isa::ErrorCode CheckCompute(const isa::Descriptor& d) const;
  isa::ErrorCode CheckVector(const isa::Descriptor& d) const;
  isa::ErrorCode CheckSoftmax(const isa::Descriptor& d) const;
  void Load(const isa::Descriptor& d, Counts& counts);
  void Store(const isa::Descriptor& d, Counts& counts);
  void Compute(const isa::Descriptor& d, Counts& counts);
  void PutPosted(Post& post, const Nest& nest, uint64_t out_address, uint64_t aux_address);
  OrderFault Vector(const isa::Descriptor& d);
  void Elements(const isa::Descriptor& d);
  void Softmax(const isa::Descriptor& d);
  isa::ErrorCode CheckElements(const isa::Descriptor& d) const;
  void Lanes(const isa::Descriptor& d);
  isa::ErrorCode CheckSend(const isa::Descriptor& d) const;
  isa::ErrorCode CheckLanes(const isa::Descriptor& d) const;
  bool TakeTokens(const isa::Descriptor& d);
  void Send(const isa::Descriptor& d, Counts& counts);

  MachineConfig config_;
  SparseMemory memory_;
  std::vector<uint8_t> scratchpad_;
  PeArray pe_array_;
  std::array<uint32_t, isa::kScalars> scalars_{};
  uint32_t seed_ = 0;
  std::vector<Noise> column_noise_;
  Noise softmax_noise_;
  uint64_t window_base_ = 0;
  uint64_t window_size_ = 0;
  // By the engine that gives and the one that takes.
  std::array<std::array<uint8_t, isa::kEngines>, isa::kEngines> semaphores_{};
  std::vector<Sum> sums_;              // what COMPUTE accumulates, [entry][column]
  std::deque<std::vector<Sum>> sets_;  // handed over to VECTOR, oldest first
  std::array<uint8_t, isa::kMeshSemaphores> tokens_{};
  std::vector<Message> messages_;
  uint64_t program_address_ = 0;
  uint32_t count_ = 0;
  RunResult result_;  // index: the next descriptor while the program runs
  std::unique_ptr<OrderChecker> order_;
};

}  // namespace vaultrain::golden

#endif  // VAULTRAIN_GOLDEN_MACHINE_H_
