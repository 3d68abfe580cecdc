// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "harness/dram_die.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "harness/ecc.h"

namespace vaultrain {
namespace {

constexpr int64_t kLongAgo = -(int64_t{1} << 40);
constexpr int64_t kNever = int64_t{1} << 62;

uint64_t Word(const uint8_t* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, 8);
  return word;
}

}  // namespace

const char* Name(DramCommand command) {
  static constexpr const char* kNames[] = {"NOP", "ACT", "RD", "WR", "PRE", "PREA", "REF"};
  auto index = static_cast<unsigned>(command);
  return index < 7 ? kNames[index] : "?";
}

std::string DramViolation::Text() const {
  return "cycle " + std::to_string(cycle) + ", " +
         (bank < 0 ? std::string("all banks") : "bank " + std::to_string(bank)) + ": " + rule +
         ", had " + std::to_string(had) + ", needed " + std::to_string(needed);
}

DramDie::DramDie(const DramTiming& timing, const DramGeometry& geometry, uint8_t fill)
    : timing_(timing), geometry_(geometry), fill_(fill) {
  if (geometry.data_bits < 8 || geometry.data_bits > 64 * kVaultDataWords || geometry.banks < 1 ||
      geometry.banks > 256 || geometry.Columns() < 1 || geometry.beats < 1) {
    throw std::invalid_argument("DramDie: geometry out of range");
  }
  if (geometry.ecc != 0 && geometry.data_bits % 64 != 0) {
    throw std::invalid_argument("DramDie: check bits need beats of whole words of 64 bits");
  }
  beat_bytes_ = geometry.data_bits / 8;
  full_mask_ = beat_bytes_ == 64 ? ~uint64_t{0} : (uint64_t{1} << beat_bytes_) - 1;
  chunks_.resize((geometry.Bytes() + (1 << kChunkBits) - 1) >> kChunkBits);
  // Enough for every burst between its command and its last beat.
  size_t bursts = static_cast<size_t>(std::max(timing.tCL, timing.tCWL) + geometry.beats + 4);
  reads_.ring.resize(bursts);
  writes_.ring.resize(bursts);
  Reset();
}

void DramDie::Reset() {
  cycle_ = 0;
  deadline_ = timing_.tREFI;
  late_ = false;
  last_ref_ = last_act_ = last_rd_ = last_wr_ = kLongAgo;
  bus_free_ = 0;
  acts_.fill(kLongAgo);
  act_count_ = 0;
  Bank idle;
  idle.act = idle.pre = idle.rd = idle.wr_end = kLongAgo;
  banks_.assign(static_cast<size_t>(geometry_.banks), idle);
  for (BurstQueue* queue : {&reads_, &writes_}) queue->head = queue->size = queue->beat = 0;
  violation_.reset();
  counters_ = {};
  recorded_.clear();
  next_work_ = deadline_ + 1;
}

uint64_t DramDie::AddressOf(int bank, int row, int col) const {
  int straight = bank;
  for (int digit = 0, rest = row; digit < geometry_.bank_rotate; ++digit) {
    straight -= rest & (geometry_.banks - 1);
    rest /= geometry_.banks;
  }
  straight &= geometry_.banks - 1;
  const auto banks = static_cast<uint64_t>(geometry_.banks);
  const auto columns = static_cast<uint64_t>(geometry_.Columns());
  const uint64_t in_row =
      geometry_.bank_low != 0
          ? static_cast<uint64_t>(col) * banks + static_cast<uint64_t>(straight)
          : static_cast<uint64_t>(straight) * columns + static_cast<uint64_t>(col);
  return (static_cast<uint64_t>(row) * banks * columns + in_row) *
         static_cast<uint64_t>(geometry_.AccessBytes());
}

uint8_t* DramDie::Chunk(uint64_t address) {
  std::unique_ptr<uint8_t[]>& chunk = chunks_[address >> kChunkBits];
  if (!chunk) {
    constexpr size_t kSize = size_t{1} << kChunkBits;
    chunk.reset(new uint8_t[kSize + (geometry_.ecc != 0 ? kSize / 8 : 0)]);
    std::memset(chunk.get(), fill_, kSize);
    if (geometry_.ecc != 0)
      std::memset(chunk.get() + kSize, EccEncode(Word(chunk.get())), kSize / 8);
  }
  return chunk.get() + (address & ((1 << kChunkBits) - 1));
}

// The check byte of the word that holds an address, from where its data stands.
uint8_t* DramDie::Checks(uint8_t* data, uint64_t address) const {
  const uint64_t offset = address & ((1 << kChunkBits) - 1);
  return data - offset + (1 << kChunkBits) + offset / 8;
}

void DramDie::RequireInside(const char* what, uint64_t address, uint64_t size) const {
  if (address <= geometry_.Bytes() && size <= geometry_.Bytes() - address) return;
  throw std::out_of_range(std::string("DramDie::") + what + ": " + std::to_string(address) + " + " +
                          std::to_string(size) + " leaves the vault");
}

void DramDie::Flip(uint64_t address, uint64_t data, uint8_t check) {
  RequireInside("Flip", address, 8);
  if (address % 8 != 0 || (check != 0 && geometry_.ecc == 0)) {
    throw std::invalid_argument("DramDie::Flip: no such bits at " + std::to_string(address));
  }
  uint8_t* bytes = Chunk(address);
  const uint64_t word = Word(bytes) ^ data;
  std::memcpy(bytes, &word, 8);
  if (check != 0) *Checks(bytes, address) ^= check;
}

uint64_t DramDie::WrongWords(uint64_t address, uint64_t size) const {
  RequireInside("WrongWords", address, size);
  uint64_t wrong = 0;
  for (uint64_t at = address; geometry_.ecc != 0 && at < address + size; at += 8) {
    const auto& chunk = chunks_[at >> kChunkBits];
    if (!chunk) {
      at |= (uint64_t{1} << kChunkBits) - 8;  // the last word of it
      continue;
    }
    uint8_t* bytes = chunk.get() + (at & ((1 << kChunkBits) - 1));
    wrong += EccEncode(Word(bytes)) != *Checks(bytes, at) ? 1 : 0;
  }
  return wrong;
}

void DramDie::Read(uint64_t address, std::span<uint8_t> bytes) const {
  RequireInside("Read", address, bytes.size());
  for (size_t done = 0; done < bytes.size();) {
    size_t offset = (address + done) & ((1 << kChunkBits) - 1);
    size_t size = std::min(bytes.size() - done, (size_t{1} << kChunkBits) - offset);
    const auto& chunk = chunks_[(address + done) >> kChunkBits];
    if (chunk) {
      std::memcpy(bytes.data() + done, chunk.get() + offset, size);
      // Words that are not what was written, which are few.
      for (size_t at = offset & ~size_t{7}; geometry_.ecc != 0 && at < offset + size; at += 8) {
        const uint64_t stored = Word(chunk.get() + at);
        const EccWord word = EccDecode(stored, chunk[(size_t{1} << kChunkBits) + at / 8]);
        if (word.data == stored) continue;
        for (size_t b = std::max(at, offset); b < std::min(at + 8, offset + size); ++b) {
          bytes[done + b - offset] = static_cast<uint8_t>(word.data >> (8 * (b - at)));
        }
      }
    } else {
      std::memset(bytes.data() + done, fill_, size);
    }
    done += size;
  }
}

void DramDie::Write(uint64_t address, std::span<const uint8_t> bytes) {
  RequireInside("Write", address, bytes.size());
  for (size_t done = 0; done < bytes.size();) {
    size_t offset = (address + done) & ((1 << kChunkBits) - 1);
    size_t size = std::min(bytes.size() - done, (size_t{1} << kChunkBits) - offset);
    uint8_t* to = Chunk(address + done);
    if (geometry_.ecc != 0) {
      // The words that are written in part, at both ends, keep the rest of their data.
      for (uint64_t at : {address + done, address + done + size - 1}) {
        const uint64_t word_at = at & ~uint64_t{7};
        uint8_t* word = Chunk(word_at);
        const uint64_t data = EccDecode(Word(word), *Checks(word, word_at)).data;
        std::memcpy(word, &data, 8);
      }
    }
    std::memcpy(to, bytes.data() + done, size);
    if (geometry_.ecc != 0) {
      for (uint64_t at = (address + done) & ~uint64_t{7}; at < address + done + size; at += 8) {
        uint8_t* word = Chunk(at);
        *Checks(word, at) = EccEncode(Word(word));
      }
    }
    done += size;
  }
}

void DramDie::Break(const char* rule, int bank, int64_t had, int64_t needed) {
  if (violation_) return;
  violation_ = DramViolation{static_cast<uint64_t>(cycle_), bank, rule, had, needed};
}

void DramDie::RequireGap(const char* rule, int bank, int64_t since, int64_t gap) {
  if (cycle_ - since < gap) Break(rule, bank, cycle_ - since, gap);
}

void DramDie::Push(BurstQueue& queue, int64_t start, uint64_t address) {
  // Only a stream that breaks tCCD without end fills the ring; the rule is latched, the burst is
  // dropped.
  if (queue.size == queue.ring.size()) return;
  unsigned slot = (queue.head + queue.size) % queue.ring.size();
  queue.ring[slot] = {start, address};
  ++queue.size;
}

void DramDie::Pop(BurstQueue& queue) {
  queue.head = queue.head + 1 == queue.ring.size() ? 0 : queue.head + 1;
  --queue.size;
  queue.beat = 0;
}

void DramDie::Work(VaultPins& pins) {
  if (cycle_ > deadline_ && !late_) {
    late_ = true;
    Break("tREFI: refresh is late", -1, cycle_ - std::max<int64_t>(last_ref_, 0), timing_.tREFI);
  }
  if (pins.cmd != 0) Command(pins);
  Move(pins);
  next_work_ = late_ ? kNever : deadline_ + 1;
  for (const BurstQueue* queue : {&reads_, &writes_}) {
    if (queue->size != 0) {
      next_work_ = std::min(next_work_, queue->ring[queue->head].start + queue->beat);
    }
  }
}

void DramDie::Command(const VaultPins& pins) {
  auto command = static_cast<DramCommand>(pins.cmd);
  int bank = pins.bank;
  if (recording_) {
    recorded_.push_back({cycle(), command, bank, static_cast<int>(pins.row), pins.col});
  }
  if (pins.cmd > static_cast<uint8_t>(DramCommand::kRef)) {
    Break("unknown command", bank, pins.cmd, 6);
    return;
  }
  if (bank >= geometry_.banks) {
    Break("bank out of range", bank, bank, geometry_.banks - 1);
    return;
  }
  RequireGap("tRFC: command after REF", bank, last_ref_, timing_.tRFC);
  switch (command) {
    case DramCommand::kAct: {
      Bank& state = banks_[bank];
      if (state.open) Break("ACT of an open bank, row", bank, pins.row, state.row);
      if (pins.row >= static_cast<uint32_t>(geometry_.rows)) {
        Break("row out of range", bank, pins.row, geometry_.rows - 1);
        return;
      }
      RequireGap("tRP: ACT after PRE", bank, state.pre, timing_.tRP);
      RequireGap("tRRD: ACT after ACT", bank, last_act_, timing_.tRRD);
      RequireGap("tFAW: fifth ACT after first", bank, acts_[act_count_ % 4], timing_.tFAW);
      acts_[act_count_++ % 4] = cycle_;
      last_act_ = state.act = cycle_;
      state.open = true;
      state.row = pins.row;
      ++counters_.act;
      break;
    }
    case DramCommand::kRd:
      ++counters_.rd;
      Access(pins, false);
      break;
    case DramCommand::kWr:
      ++counters_.wr;
      Access(pins, true);
      break;
    case DramCommand::kPre:
      ++counters_.pre;
      if (!banks_[bank].open) Break("PRE of a closed bank", bank, 0, 1);
      Precharge(bank);
      break;
    case DramCommand::kPreAll:
      ++counters_.pre_all;
      for (int b = 0; b < geometry_.banks; ++b) {
        if (banks_[b].open) Precharge(b);
      }
      break;
    case DramCommand::kRef:
      ++counters_.ref;
      for (int b = 0; b < geometry_.banks; ++b) {
        if (banks_[b].open) Break("REF with an open bank", b, 1, 0);
        RequireGap("tRP: REF after PRE", b, banks_[b].pre, timing_.tRP);
      }
      last_ref_ = cycle_;
      deadline_ = cycle_ + timing_.tREFI;
      late_ = false;
      break;
    case DramCommand::kNop:
      break;
  }
}

void DramDie::Precharge(int bank) {
  Bank& state = banks_[bank];
  RequireGap("tRAS: PRE after ACT", bank, state.act, timing_.tRAS);
  RequireGap("tRTP: PRE after RD", bank, state.rd, timing_.tRTP);
  RequireGap("tWR: PRE after write data", bank, state.wr_end, timing_.tWR);
  state.open = false;
  state.pre = cycle_;
}

void DramDie::Access(const VaultPins& pins, bool write) {
  int bank = pins.bank;
  Bank& state = banks_[bank];
  if (!state.open) {
    Break(write ? "WR to a closed bank" : "RD from a closed bank", bank, 0, 1);
    return;
  }
  // The row pins of RD and WR repeat the row the controller means.
  if (pins.row != state.row) {
    Break(write ? "WR to another row than the open one" : "RD from another row than the open one",
          bank, pins.row, state.row);
  }
  if (pins.col >= geometry_.Columns()) {
    Break("column out of range", bank, pins.col, geometry_.Columns() - 1);
    return;
  }
  RequireGap("tRCD: access after ACT", bank, state.act, timing_.tRCD);
  int64_t start = cycle_ + (write ? timing_.tCWL : timing_.tCL);
  if (write) {
    RequireGap("tCCD: WR after WR", bank, last_wr_, timing_.tCCD);
    RequireGap("tCCD: WR after RD", bank, last_rd_, timing_.tCCD);
    last_wr_ = cycle_;
    state.wr_end = start + geometry_.beats;
  } else {
    RequireGap("tCCD: RD after RD", bank, last_rd_, timing_.tCCD);
    RequireGap("tWTR: RD after write data", bank, last_wr_ + timing_.tCWL + geometry_.beats,
               timing_.tWTR);
    last_rd_ = state.rd = cycle_;
  }
  if (start < bus_free_) Break("data of two accesses overlap", bank, start, bus_free_);
  bus_free_ = std::max(bus_free_, start + geometry_.beats);
  Push(write ? writes_ : reads_, start, AddressOf(bank, static_cast<int>(state.row), pins.col));
}

void DramDie::Move(VaultPins& pins) {
  if (reads_.size != 0) {
    const Burst& burst = reads_.ring[reads_.head];
    if (burst.start + reads_.beat <= cycle_) {
      const uint64_t address = burst.address + static_cast<uint64_t>(reads_.beat * beat_bytes_);
      uint8_t* from = Chunk(address);
      auto* to = reinterpret_cast<uint8_t*>(pins.rdata.data());
      std::memcpy(to, from, beat_bytes_);
      if (geometry_.ecc != 0) std::memcpy(to + beat_bytes_, Checks(from, address), beat_bytes_ / 8);
      if (++reads_.beat == geometry_.beats) Pop(reads_);
    }
  }
  bool moved = false;
  if (writes_.size != 0) {
    const Burst& burst = writes_.ring[writes_.head];
    if (burst.start + writes_.beat <= cycle_) {
      moved = true;
      const uint64_t address = burst.address + static_cast<uint64_t>(writes_.beat * beat_bytes_);
      const auto* from = reinterpret_cast<const uint8_t*>(pins.wdata.data());
      uint8_t* to = Chunk(address);
      if (pins.wmask == full_mask_) {
        std::memcpy(to, from, beat_bytes_);
        if (geometry_.ecc != 0)
          std::memcpy(Checks(to, address), from + beat_bytes_, beat_bytes_ / 8);
      } else if (pins.wmask != 0 && geometry_.ecc != 0) {
        Break("write mask of a part of a beat with check bits", -1,
              static_cast<int64_t>(pins.wmask), static_cast<int64_t>(full_mask_));
      } else if (pins.wmask != 0) {
        for (int b = 0; b < beat_bytes_; ++b) {
          if (pins.wmask >> b & 1) to[b] = from[b];
        }
      }
      if (++writes_.beat == geometry_.beats) Pop(writes_);
    }
  }
  if (!moved && pins.wmask != 0) {
    Break("write mask outside the beats of a write", -1, static_cast<int64_t>(pins.wmask), 0);
  }
}

}  // namespace vaultrain
