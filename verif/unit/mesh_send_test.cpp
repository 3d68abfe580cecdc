// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "unit/block_bench.h"
#include "vaultrain/isa.h"

namespace vaultrain {
namespace {

using isa::Descriptor;
using isa::FieldId;
using isa::SendKind;

constexpr int kFlitBytes = VT_LinkBits / 8;
constexpr int kWordBytes = VT_WordBits / 8;
constexpr uint32_t kSpadBytes = 1u << VT_SpadBits;
constexpr int kMost = (1 << isa::kSemaphoreBits) - 1;

struct Flit {
  bool reduce = false;
  bool has_payload = true;
  int group = 0, x = 0, y = 0, post = 0, semaphore = 0;
  uint32_t address = 0;
  std::vector<uint8_t> payload;
};

struct Job {
  SendKind kind = SendKind::kTokens;
  isa::Group group = isa::Group::kAll;
  int owner_x = 0, owner_y = 0;
  bool post = false;
  int post_sem = 0;
  std::array<int, 2> take{}, take_sem{};
  uint32_t from = 0, from_pitch = 0, rows = 0, row_flits = 0, to = 0, to_pitch = 0;
  uint32_t signal = 0;

  Descriptor Encode() const {
    Descriptor d(isa::Opcode::kSend);
    d.Set(FieldId::kSignal, signal);
    d.Set(FieldId::kSendKind, static_cast<int>(kind));
    d.Set(FieldId::kGroup, static_cast<int>(group));
    d.Set(FieldId::kOwnerX, owner_x);
    d.Set(FieldId::kOwnerY, owner_y);
    d.Set(FieldId::kPost, post);
    d.Set(FieldId::kPostSem, post_sem);
    for (int i = 0; i < 2; ++i) {
      d.Set(FieldId::kTake, take[i], i);
      d.Set(FieldId::kTakeSem, take_sem[i], i);
    }
    d.Set(FieldId::kSendAddr, from);
    d.Set(FieldId::kSendPitch, from_pitch);
    d.Set(FieldId::kSendRows, rows);
    d.Set(FieldId::kRowFlits, row_flits);
    d.Set(FieldId::kDstAddr, to);
    d.Set(FieldId::kDstPitch, to_pitch);
    return d;
  }
};

class Bench {
 public:
  Bench(uint32_t seed, bool stalls)
      : dut_(&context_),
        seed_(seed),
        random_(seed),
        go_read_(random_, stalls),
        go_tx_(random_, stalls),
        go_red_(random_, stalls),
        go_post_(random_, stalls) {
    spad_ = RandomBytes(random_, kSpadBytes);
    dut_.job_valid_i = dut_.post_valid_i = dut_.rd_data_valid_i = 0;
    Reset(dut_);
  }

  // Tokens that other nodes are to give, one a cycle at most.
  void Give(int semaphore, int count) { gifts_.insert(gifts_.end(), count, semaphore); }

  // Cycles from the job to its completion; 0 if it does not complete within `most` cycles.
  int Run(const Job& job, int most = 20000) {
    Expect(job);
    job_ = &job;
    PutBytes(dut_.job_i, 0, job.Encode().bytes());
    const int begin = cycle_;
    dut_.job_valid_i = 1;
    first_flit_ = 0;
    while (!Cycle()) {
      if (cycle_ - begin > most) return 0;
    }
    dut_.job_valid_i = 0;
    EXPECT_TRUE(expected_.empty()) << expected_.size() << " flits are missing" << Where();
    for (int i = 0; i < 2; ++i) {
      tokens_[job.take_sem[i]] -= job.take[i];
      EXPECT_GE(tokens_[job.take_sem[i]], 0) << "started without its tokens" << Where();
    }
    return cycle_ - begin;
  }

  bool Cycle() {
    dut_.post_valid_i = 0;
    dut_.post_sem_i = static_cast<uint8_t>(random_() % isa::kMeshSemaphores);
    if (!gifts_.empty() && go_post_.Go()) {
      dut_.post_valid_i = 1;
      dut_.post_sem_i = static_cast<uint8_t>(gifts_.front());
      ++tokens_[gifts_.front()];
      gifts_.pop_front();
    }
    dut_.rd_ready_i = go_read_.Go();
    dut_.tx_ready_i = go_tx_.Go();
    dut_.red_tx_ready_i = go_red_.Go();
    dut_.rd_data_valid_i = read_.has_value();
    for (int w = 0; w < kWordBytes / 4; ++w) PutBits(dut_.rd_data_i, 32 * w, 32, random_());
    if (read_)
      PutBytes(dut_.rd_data_i, 0, std::span(spad_).subspan(*read_ * kWordBytes, kWordBytes));
    Settle(dut_);
    read_.reset();
    if (dut_.rd_valid_o && dut_.rd_ready_i) read_ = static_cast<uint32_t>(dut_.rd_addr_o);
    const bool put = dut_.tx_valid_o && dut_.tx_ready_i;
    const bool sum = dut_.red_tx_valid_o && dut_.red_tx_ready_i;
    if (put) Compare(false, dut_.tx_flit_o);
    if (sum) Compare(true, dut_.red_tx_flit_o);
    EXPECT_FALSE(dut_.tx_valid_o && dut_.red_tx_valid_o) << Where();
    EXPECT_EQ(dut_.ev_sent_o, put || sum) << Where();
    EXPECT_EQ(dut_.ev_stall_o, (dut_.tx_valid_o && !put) || (dut_.red_tx_valid_o && !sum))
        << Where();
    if ((put || sum) && first_flit_ == 0) first_flit_ = cycle_;
    if (put || sum) last_flit_ = cycle_;
    if ((put || sum) && job_ != nullptr) {
      for (int i = 0; i < 2; ++i) {
        EXPECT_GE(tokens_[job_->take_sem[i]], job_->take[i])
            << "sends without tokens of semaphore " << job_->take_sem[i] << Where();
      }
    }
    const bool done = dut_.done_valid_o;
    EXPECT_EQ(dut_.job_ready_o, dut_.done_valid_o) << Where();
    if (done) {
      EXPECT_TRUE(job_ != nullptr && dut_.job_valid_i) << "done without a job" << Where();
      EXPECT_EQ(dut_.done_signal_o, job_->signal) << Where();
    }
    Rise(dut_);
    ++cycle_;
    return done;
  }

  bool overflow() {
    Settle(dut_);
    return dut_.overflow_o;
  }
  std::mt19937& random() { return random_; }
  size_t gifts() const { return gifts_.size(); }
  int first_flit() const { return first_flit_; }
  int last_flit() const { return last_flit_; }
  int cycle() const { return cycle_; }

 private:
  void Expect(const Job& job) {
    Flit flit;
    flit.reduce = job.kind == SendKind::kReduce;
    flit.group = static_cast<int>(job.group);
    flit.x = job.owner_x;
    flit.y = job.owner_y;
    flit.semaphore = job.post_sem;
    for (uint32_t r = 0; r < job.rows; ++r) {
      for (uint32_t f = 0; f < job.row_flits; ++f) {
        const uint32_t from = job.from + r * job.from_pitch + f * kFlitBytes;
        flit.address = (job.to + r * job.to_pitch + f * kFlitBytes) & 0xffffff;
        flit.payload.clear();
        for (int b = 0; b < kFlitBytes; ++b) flit.payload.push_back(spad_[(from + b) % kSpadBytes]);
        flit.post = job.post && r + 1 == job.rows && f + 1 == job.row_flits;
        expected_.push_back(flit);
      }
    }
    if (job.rows == 0 && job.post) {
      flit.has_payload = false;
      flit.post = 1;
      expected_.push_back(flit);
    }
  }

  template <typename Port>
  void Compare(bool reduce, const Port& port) {
    if (expected_.empty()) {
      ADD_FAILURE() << "a flit too many" << Where();
      return;
    }
    const Flit flit = expected_.front();
    expected_.pop_front();
    const size_t post = reduce ? 8 : 11;
    EXPECT_EQ(reduce, flit.reduce) << Where();
    EXPECT_EQ(GetBits(port, 0, 2), flit.group) << Where();
    EXPECT_EQ(GetBits(port, 2, 3), flit.x) << Where();
    EXPECT_EQ(GetBits(port, 5, 3), flit.y) << Where();
    if (!reduce) {
      EXPECT_EQ(GetBits(port, 8, 3), flit.has_payload ? 0 : 1) << "type" << Where();
    }
    EXPECT_EQ(GetBits(port, post, 1), flit.post) << "post" << Where();
    if (flit.post) {
      EXPECT_EQ(GetBits(port, post + 1, 5), flit.semaphore) << Where();
    }
    if (!flit.has_payload) return;
    EXPECT_EQ(GetBits(port, post + 6, 24), flit.address) << "address" << Where();
    EXPECT_EQ(GetBytes(port, post + 30, kFlitBytes), flit.payload)
        << "payload for " << flit.address << Where();
  }

  std::string Where() const {
    return " cycle " + std::to_string(cycle_) + " seed " + std::to_string(seed_);
  }

  VerilatedContext context_;
  Vdut dut_;
  uint32_t seed_;
  std::mt19937 random_;
  Stalls go_read_, go_tx_, go_red_, go_post_;
  std::vector<uint8_t> spad_;
  std::deque<Flit> expected_;
  std::deque<int> gifts_;
  std::array<int, isa::kMeshSemaphores> tokens_{};
  std::optional<uint32_t> read_;  // word that comes in the next cycle
  const Job* job_ = nullptr;
  int cycle_ = 0;
  int first_flit_ = 0;
  int last_flit_ = 0;
};

Job DrawJob(std::mt19937& random) {
  Job job;
  job.kind = static_cast<SendKind>(random() % 3);
  job.group = static_cast<isa::Group>(job.kind == SendKind::kPut ? random() % 4 : 1 + random() % 3);
  job.owner_x = static_cast<int>(random() % 8);
  job.owner_y = static_cast<int>(random() % 8);
  job.post = job.kind != SendKind::kTokens && random() % 2;
  job.post_sem = static_cast<int>(random() % isa::kMeshSemaphores);
  job.signal = random() & ((1u << isa::kEngines) - 1);
  for (int i = 0; i < 2; ++i) {
    job.take[i] = random() % 3 ? 0 : static_cast<int>(random() % 8);
    job.take_sem[i] = static_cast<int>(random() % isa::kMeshSemaphores);
  }
  if (job.take_sem[0] == job.take_sem[1]) job.take[random() % 2] = 0;
  const auto address = [&](uint32_t size) { return random() % size / kFlitBytes * kFlitBytes; };
  job.from = address(kSpadBytes);
  job.to = address(kSpadBytes);
  job.from_pitch = address(random() % 4 ? 8 * kWordBytes : 1 << 24);
  job.to_pitch = address(random() % 4 ? 8 * kWordBytes : 1 << 24);
  if (job.kind != SendKind::kTokens) {
    job.rows = random() % 6 + (job.kind == SendKind::kReduce);
    job.row_flits = 1 + random() % (random() % 8 ? 9 : 70);
  }
  return job;
}

TEST(MeshSend, SendsEveryPayloadOfEveryRowUnderRandomStalls) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    Bench bench(seed, seed % 4 != 0);
    for (int j = 0; j < 120; ++j) {
      const Job job = DrawJob(bench.random());
      for (int i = 0; i < 2; ++i) bench.Give(job.take_sem[i], job.take[i]);
      EXPECT_GT(bench.Run(job), 0) << "not done: " << isa::ToText(job.Encode());
      for (uint32_t idle = bench.random()() % 4; idle > 0; --idle) EXPECT_FALSE(bench.Cycle());
      ASSERT_FALSE(HasFailure()) << isa::ToText(job.Encode()) << " job " << j << " seed " << seed;
    }
  }
}

TEST(MeshSend, TakesTokensOfBothSemaphoresTogether) {
  Bench bench(1, false);
  Job job;
  job.take = {2, 3};
  job.take_sem = {4, 31};
  bench.Give(4, 1);
  bench.Give(31, 3);
  EXPECT_EQ(bench.Run(job, 100), 0) << "2 tokens asked for, 1 there";
  bench.Give(4, 1);
  EXPECT_GT(bench.Run(job, 100), 0);
  // None is left, so one more of each is not enough.
  bench.Give(4, 1);
  bench.Give(31, 2);
  EXPECT_EQ(bench.Run(job, 100), 0);
}

TEST(MeshSend, ASemaphoreCountsTo63AndOneMoreIsAnError) {
  Bench bench(1, false);
  bench.Give(17, kMost);
  for (int i = 0; i < kMost + 4; ++i) bench.Cycle();
  EXPECT_FALSE(bench.overflow());
  Job job;
  job.take = {0, kMost};
  job.take_sem = {17, 17};
  EXPECT_GT(bench.Run(job, 100), 0) << "63 tokens were given";
  bench.Give(17, kMost);
  bench.Give(16, 1);
  for (int i = 0; i < kMost + 4; ++i) bench.Cycle();
  EXPECT_FALSE(bench.overflow());
  bench.Give(17, 1);
  bench.Cycle();
  bench.Cycle();
  EXPECT_TRUE(bench.overflow());
  for (int i = 0; i < 4; ++i) bench.Cycle();
  EXPECT_TRUE(bench.overflow()) << "not sticky";
}

TEST(MeshSend, TokensThatComeInTheCycleOfATakeCount) {
  Bench bench(1, false);
  bench.Give(7, 60);  // one a cycle
  Job job;
  job.take = {1, 0};
  job.take_sem = {7, 8};
  for (int i = 0; i < 10; ++i) EXPECT_GT(bench.Run(job, 20), 0);
  while (bench.gifts() > 0) bench.Cycle();
  job.take = {50, 0};
  EXPECT_GT(bench.Run(job, 20), 0) << "60 tokens were given and 10 taken";
  job.take = {1, 0};
  EXPECT_EQ(bench.Run(job, 20), 0);
}

TEST(MeshSend, SendsAFlitEveryCycle) {
  for (const SendKind kind : {SendKind::kPut, SendKind::kReduce}) {
    Bench bench(1, false);
    Job job;
    job.kind = kind;
    job.from = kFlitBytes;  // in the middle of a word, if words have one
    job.from_pitch = 3 * kWordBytes;
    job.rows = 20;
    job.row_flits = 7;
    job.post = true;
    bench.Cycle();
    const int begin = bench.cycle();
    EXPECT_GT(bench.Run(job), 0);
    EXPECT_LE(bench.first_flit() - begin, 6);
    EXPECT_EQ(bench.last_flit() - bench.first_flit() + 1, 20 * 7);
    const int last = bench.last_flit();
    EXPECT_GT(bench.Run(job), 0);
    EXPECT_LE(bench.first_flit() - last, 8);
    ASSERT_FALSE(HasFailure());
  }
}

}  // namespace
}  // namespace vaultrain
