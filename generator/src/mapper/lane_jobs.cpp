// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Jobs of lane programs: what all operations of the lanes are made of.

#include <fmt/format.h>

#include "mapper/mapping.h"
#include "vaultrain/lane_library.h"

namespace vaultrain {

using isa::Descriptor;
using isa::FieldId;

namespace {

constexpr int kNeverWritten = 15;  // a register that no program here writes: zero

}  // namespace

void AddLanesFrom(lanes::Section& init, int64_t lane, int reg) {
  constexpr int kLane = 2, kEdge = 3;
  init.Iota(kLane).Move(kLane, kLane, lanes::LaneMode::kRotate, 0, lanes::GroupMode::kFixed, 0);
  init.Constant(kEdge, static_cast<float>(lane) - 0.5F).Gt(reg, kLane, kEdge);
}

// A program gets its place in memory at its first use.
LoadedProgram Mapper::LoadLanes(lanes::Program program, std::vector<Load>& loads, int tag,
                                unsigned wide) {
  program = lanes::Widened(program, wide);
  const std::vector<uint32_t> words = program.Words();
  auto found = lane_programs_.find(words);
  if (found == lane_programs_.end()) {
    const int tensor =
        Allocate(fmt::format("lanes.{}", lane_programs_.size()), TensorRole::kConstant,
                 ElementFormat::kFp32, 1, static_cast<int64_t>(words.size()));
    for (size_t node = 0; node < grid_.places.size(); ++node) {
      ProgramSegment segment;
      segment.address = local_[tensor].address + node * vault_bytes_;
      for (const uint32_t word : words) {
        for (int b = 0; b < 4; ++b) segment.bytes.push_back(static_cast<uint8_t>(word >> 8 * b));
      }
      program_.image.push_back(std::move(segment));
    }
    found = lane_programs_.emplace(words, tensor).first;
  }
  const int64_t pitch = RoundUp(local_[found->second].pitch_bytes, word_);
  LoadedProgram loaded{std::move(program), s_->AddBuffer(static_cast<uint32_t>(pitch), true), wide};
  loads.emplace_back(LoadPlain(found->second, 0, 1, 0, static_cast<int64_t>(words.size()), 0, pitch,
                               false, loaded.buffer, tag));
  return loaded;
}

Step Mapper::Lanes(const LoadedProgram& loaded, const lanes::Job& job,
                   const std::array<int, isa::kLaneStreams>& buffers, unsigned written,
                   int tag) const {
  Step step;
  step.engine = Engine::kLanes;
  step.cycles = job.groups * static_cast<int64_t>(loaded.program.body.words().size());
  for (const int64_t bound : job.bounds) step.cycles *= bound;
  step.buffers = {{loaded.buffer, false}};
  for (int i = 0; i < isa::kLaneStreams; ++i) {
    if (buffers[i] >= 0) step.buffers.push_back({buffers[i], (written >> i & 1) != 0});
  }
  step.make = [=, this](const Place&) {
    lanes::Job placed = lanes::Widened(job, loaded.wide);
    for (int i = 0; i < isa::kLaneStreams; ++i) {
      if (buffers[i] >= 0) placed.streams[i].base += s_->AddressOf(buffers[i]);
    }
    Descriptor d = lanes::MakeDescriptor(
        loaded.program, static_cast<uint32_t>(s_->AddressOf(loaded.buffer) / word_), placed);
    d.Set(FieldId::kTag, tag);
    return d;
  };
  return step;
}

void Mapper::AddSampleJobs(Task& task, const LoadedProgram& loaded, const lanes::Job& job,
                           int64_t samples, const std::array<int, isa::kLaneStreams>& buffers,
                           const std::array<int64_t, isa::kLaneStreams>& of_sample,
                           unsigned written, int tag) const {
  const int64_t step = std::min<int64_t>(samples, isa::kLaneGroups);
  for (int64_t at = 0; at < samples; at += step) {
    lanes::Job part = job;
    part.groups = static_cast<int>(std::min(step, samples - at));
    for (int i = 0; i < isa::kLaneStreams; ++i) {
      if (buffers[i] >= 0) part.streams[i].base += static_cast<uint32_t>(at * of_sample[i]);
    }
    task.work.push_back(Lanes(loaded, part, buffers, written, tag));
  }
}

lanes::Stream Mapper::StreamOf(int64_t offset, int64_t pitch, int64_t step, int64_t row) const {
  const int64_t slot = v_.array.cols * operand_;
  lanes::Stream stream;
  stream.base = static_cast<uint32_t>(offset);
  stream.strides = {pitch / slot, 1, step / slot, row / slot};
  return stream;
}

void Mapper::AddZeros(int buffer, int64_t offset, int64_t pitch, int64_t rows, int64_t bytes,
                      int tag) {
  lanes::Program program;
  program.body.StoreWide(kNeverWritten, 0);
  const int64_t slot = v_.array.cols * operand_;
  const int64_t wide = v_.array.cols * 4;
  Task task;
  const LoadedProgram loaded = LoadLanes(std::move(program), task.loads, tag);
  lanes::Job job;
  job.bounds = {bytes / wide, rows, 1};
  job.streams[0].base = static_cast<uint32_t>(offset);
  job.streams[0].strides = {0, wide / slot, pitch / slot, 0};
  task.work.push_back(Lanes(loaded, job, {buffer, -1, -1, -1}, 0b1, tag));
  AddTask(std::move(task));
}

void Mapper::AddClearing(Task& task, int tensor, int buffer, int64_t rows, int64_t pitch, int tag) {
  constexpr int kValues = 0, kBehind = 1;
  const int64_t cols = v_.array.cols;
  const int64_t channels = local_[tensor].cols;
  const int64_t slot = cols * operand_;
  auto add = [&](lanes::Program program, int64_t from, int64_t count) {
    if (count == 0) return;
    const LoadedProgram loaded =
        LoadLanes(std::move(program), task.loads, tag, WideStreams({tensor}));
    lanes::Job job;
    job.groups = static_cast<int>(LaneGroupsOf(rows));
    job.bounds = {count, rows / job.groups, 1};
    job.level = 3;
    job.streams[0].base = static_cast<uint32_t>(from * slot);
    job.streams[0].strides = {pitch / slot, 1, job.groups * pitch / slot, 0};
    task.work.push_back(Lanes(loaded, job, {buffer, -1, -1, -1}, 0b1, tag));
  };
  const int64_t whole = channels / cols;
  lanes::Program last, zeros;
  AddLanesFrom(last.init, channels % cols, kBehind);
  last.body.LoadOperand(kValues, 0).Sel(kValues, kBehind, kNeverWritten, kValues);
  last.body.StoreOperand(kValues, 0);
  zeros.body.StoreOperand(kNeverWritten, 0);
  add(std::move(last), whole, channels % cols > 0 ? 1 : 0);
  add(std::move(zeros), CeilDiv(channels, cols), pitch / slot - CeilDiv(channels, cols));
}

void Mapper::AddSplitting(Task& task, const LoadedProgram& splitting, int from, int to,
                          int64_t bytes, int tag) const {
  const std::array<lanes::Row, 3> rows = {lanes::Row{}, lanes::Row{},
                                          lanes::Row{static_cast<uint32_t>(bytes)}};
  const int64_t slot = v_.array.cols * operand_;
  for (const lanes::Job& job :
       lanes::RowJobs(bytes / slot, rows, v_.array.cols, static_cast<int>(operand_))) {
    task.work.push_back(Lanes(splitting, job, {from, to, to, -1}, 0b110, tag));
  }
}

void Mapper::AddWidening(Task& task, int tensor, int64_t row, int64_t rows, int to, int64_t pitch,
                         int tag) {
  const int64_t cols = local_[tensor].cols;
  const int64_t from_pitch = OutPitch(local_[tensor], cols);
  const int from = s_->AddBuffer(static_cast<uint32_t>(rows * from_pitch), false);
  task.loads.emplace_back(LoadPlain(tensor, row, rows, 0, cols, 0, from_pitch, false, from, tag));
  const int64_t slot = v_.array.cols * operand_;
  const int64_t wide = 4 / operand_;
  const int64_t slots = CeilDiv(cols, v_.array.cols);
  const int64_t together = LaneGroupsOf(slots);
  lanes::Program program;
  program.body.LoadOperand(0, 0).StoreWide(0, 1);
  const LoadedProgram loaded = LoadLanes(std::move(program), task.loads, tag);
  lanes::Job job;
  job.groups = static_cast<int>(together);
  job.bounds = {slots / together, rows, 1};
  job.level = 3;
  job.streams[0].strides = {1, together, from_pitch / slot, 0};
  job.streams[1].strides = {wide, together * wide, pitch / slot, 0};
  task.work.push_back(Lanes(loaded, job, {from, to, -1, -1}, 0b10, tag));
}

}  // namespace vaultrain
