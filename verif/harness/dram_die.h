// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The DRAM dies below one vault: storage, read data at its cycle, and a checker of every timing and
// protocol rule. With ECC the dies hold what the controller sends, check bits included, and know
// nothing of the code; the backdoor encodes and corrects, so that it deals in data alone.
//
// Needs the standard library and the types of vaultrain/dram_timing.h only; a little-endian
// machine. One Tick per clock cycle, after the clock edge: it takes the command and write data that
// the controller drives in this cycle and sets the read data of this cycle, which the controller
// samples at the next edge.

#ifndef VAULTRAIN_HARNESS_DRAM_DIE_H_
#define VAULTRAIN_HARNESS_DRAM_DIE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vaultrain/dram_timing.h"

namespace vaultrain {

enum class DramCommand : uint8_t { kNop, kAct, kRd, kWr, kPre, kPreAll, kRef };

const char* Name(DramCommand command);

inline constexpr int kVaultDataWords = 8;  // 64-bit words of the widest beat
inline constexpr int kVaultPinWords = 9;   // and of its check bits

// The pins of one vault in one cycle, as kVaultPins of vaultrain/vault_pins.h lists them.
struct VaultPins {
  uint8_t cmd = 0;
  uint8_t bank = 0;
  uint16_t col = 0;
  uint32_t row = 0;
  uint64_t wmask = 0;
  std::array<uint64_t, kVaultPinWords> wdata{};
  std::array<uint64_t, kVaultPinWords> rdata{};  // set by DramDie::Tick
};

// The first broken rule. had and needed are cycles for a timing rule, else what stood there and
// what had to.
struct DramViolation {
  uint64_t cycle = 0;
  int bank = -1;  // -1: all banks
  std::string rule;
  int64_t had = 0;
  int64_t needed = 0;
  std::string Text() const;
};

struct DramCommandRecord {
  uint64_t cycle;
  DramCommand command;
  int bank;
  int row;
  int col;
};

struct DramCounters {
  uint64_t act = 0, rd = 0, wr = 0, pre = 0, pre_all = 0, ref = 0;
};

class DramDie {
 public:
  // Untouched bytes read as `fill`.
  DramDie(const DramTiming& timing, const DramGeometry& geometry, uint8_t fill = 0);

  void Tick(VaultPins& pins) {
    ++cycle_;
    if (pins.cmd == 0 && cycle_ < next_work_ && pins.wmask == 0) return;
    Work(pins);
  }

  // Forgets open rows, transfers under way, time and violations; keeps the stored bytes.
  void Reset();

  // Backdoor by byte address in the vault (access index x access bytes). Throws std::out_of_range
  // beyond the vault. With ECC, Read gives corrected words, and Write into a part of a word keeps
  // the rest of it, corrected.
  void Read(uint64_t address, std::span<uint8_t> bytes) const;
  void Write(uint64_t address, std::span<const uint8_t> bytes);

  // Flips bits of the 64-bit word at an address, a multiple of 8; check bits need ECC.
  void Flip(uint64_t address, uint64_t data, uint8_t check);
  // Words in `size` bytes from an address on, both multiples of 8, whose check bits are not those
  // of their data.
  uint64_t WrongWords(uint64_t address, uint64_t size) const;

  // Byte address of the first byte of an access.
  uint64_t AddressOf(int bank, int row, int col) const;

  const std::optional<DramViolation>& violation() const { return violation_; }
  const DramCounters& counters() const { return counters_; }
  uint64_t cycle() const { return static_cast<uint64_t>(cycle_); }
  const DramGeometry& geometry() const { return geometry_; }

  // Commands since recording was switched on.
  void Record(bool on) { recording_ = on; }
  const std::vector<DramCommandRecord>& recorded() const { return recorded_; }

 private:
  struct Bank {
    bool open = false;
    uint32_t row = 0;
    int64_t act = 0;     // cycle of the last ACT
    int64_t pre = 0;     // of the last PRE
    int64_t rd = 0;      // of the last RD
    int64_t wr_end = 0;  // first cycle after the last beat of the last WR
  };
  struct Burst {
    int64_t start;  // cycle of the first beat
    uint64_t address;
  };
  struct BurstQueue {
    std::vector<Burst> ring;
    unsigned head = 0;
    unsigned size = 0;
    int beat = 0;
  };
  static constexpr int kChunkBits = 16;

  void Work(VaultPins& pins);
  void Command(const VaultPins& pins);
  void Access(const VaultPins& pins, bool write);
  void Precharge(int bank);
  void Move(VaultPins& pins);
  void Break(const char* rule, int bank, int64_t had, int64_t needed);
  void RequireGap(const char* rule, int bank, int64_t since, int64_t gap);
  void Push(BurstQueue& queue, int64_t start, uint64_t address);
  void Pop(BurstQueue& queue);
  uint8_t* Chunk(uint64_t address);
  uint8_t* Checks(uint8_t* data, uint64_t address) const;
  void RequireInside(const char* what, uint64_t address, uint64_t size) const;

  DramTiming timing_;
  DramGeometry geometry_;
  uint8_t fill_;
  int beat_bytes_;
  uint64_t full_mask_;

  int64_t cycle_ = 0;
  int64_t next_work_ = 0;  // no beat and no deadline before this cycle
  int64_t deadline_ = 0;   // last cycle of the next REF
  bool late_ = false;
  int64_t last_ref_ = 0;
  int64_t last_act_ = 0;
  int64_t last_rd_ = 0;
  int64_t last_wr_ = 0;
  int64_t bus_free_ = 0;  // first cycle without a beat
  std::array<int64_t, 4> acts_{};
  unsigned act_count_ = 0;
  std::vector<Bank> banks_;
  BurstQueue reads_;
  BurstQueue writes_;
  std::vector<std::unique_ptr<uint8_t[]>> chunks_;  // data, then a check byte for each 64 bits
  std::optional<DramViolation> violation_;
  DramCounters counters_;
  bool recording_ = false;
  std::vector<DramCommandRecord> recorded_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_HARNESS_DRAM_DIE_H_
