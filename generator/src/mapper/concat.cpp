// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Concat and Slice: rows of channels become a part of longer rows, or a part becomes rows, and
// gradients go the other way.
//
// Memory moves whole accesses. A part that goes where others lie before it in an access takes them
// along, and lane programs shift its channels. What lies behind a part of a Concat is written by
// the next one; a gradient of a Slice is zero there.

#include <fmt/format.h>

#include "mapper/mapping.h"

namespace vaultrain {

namespace {

// Registers of the programs below, beside those of AddLanesFrom.
enum : int { kLow = 0, kHigh = 1, kUpper = 4, kBehind = 5, kZero = 15 };

void AddRotation(lanes::Section& body, int reg, int64_t lanes) {
  body.Move(reg, reg, lanes::LaneMode::kRotate, static_cast<int>(lanes),
            lanes::GroupMode::kShiftZero, 0);
}

}  // namespace

void Mapper::AddCopy(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const bool forward = op.phase == Phase::kFeedForward;
  const int from = tensor_of_[op.Tensor(forward ? Role::kX : Role::kDz)];
  const int to = tensor_of_[op.Tensor(forward ? Role::kY : Role::kDx)];
  const bool up = local_[from].cols < local_[to].cols;
  const int64_t channels = local_[up ? from : to].cols;
  const int64_t whole = local_[up ? to : from].cols;
  const int64_t unit = kAccess / operand_;
  const int64_t begin = op.channel / unit * unit;
  const int64_t before = op.channel - begin;  // channels of other parts
  const bool last = op.channel + channels == whole;
  // What lies behind a part in its accesses: the next part, which comes after it, or zeros.
  const bool next_comes = up && graph_.layers[op.layer].kind == LayerKind::kConcat;
  const bool plain = before == 0 && (last || next_comes || channels % unit == 0);
  const int64_t all = raster_.at(from).Rows();
  const int64_t part_pitch = LanePitch(channels);
  const int64_t long_pitch = LanePitch(before + channels);
  const int64_t width = WidthOf(from);  // of both, in operands
  const int64_t in_pitch = up ? part_pitch : long_pitch;
  const int64_t out_pitch = up ? long_pitch : part_pitch;
  int64_t step = Scratchpad(budget) / 4 / width / (plain ? in_pitch : in_pitch + out_pitch);
  step = std::clamp<int64_t>(step / word_elements_ * word_elements_, word_elements_, all);
  data_flow_[tag] = fmt::format("{} of {} rows at a time through the {}", step, all,
                                plain ? "scratchpad" : "lanes");
  for (int64_t row = 0; row < all; row += step) {
    const int64_t rows = std::min(step, all - row);
    Task task;
    // A slot behind the last row may be read with it.
    const int in = s_->AddBuffer(static_cast<uint32_t>((rows * in_pitch + word_) * width), false);
    const int out =
        plain ? in : s_->AddBuffer(static_cast<uint32_t>(rows * out_pitch * width), false);
    task.loads.emplace_back(LoadPlain(from, row, rows, up ? 0 : begin,
                                      up ? channels : before + channels, 0, in_pitch * width, false,
                                      in, tag));
    if (up && before > 0) {
      task.loads.emplace_back(
          LoadPlain(to, row, rows, begin, before, 0, out_pitch * width, false, out, tag));
    }
    if (!plain) {
      AddShift(task, before, channels, up, {in, in_pitch}, {out, out_pitch}, rows, tag,
               WideStreams({from, to}));
    }
    task.stores.push_back(StorePlain(to, row, rows, up ? begin : 0,
                                     up ? before + channels : channels, out_pitch * width, out,
                                     tag));
    AddTask(std::move(task));
  }
}

// Moves channels of rows up by `shift`, or down, and fills the last access with zeros.
void Mapper::AddShift(Task& task, int64_t shift, int64_t channels, bool up, const Rows& in,
                      const Rows& out, int64_t rows, int tag, unsigned wide) {
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t whole = shift / cols;
  const int64_t lane = shift % cols;
  const int64_t groups = LaneGroupsOf(rows);
  // The program for `count` slots of the result from `to` on, which see the source from `from` on.
  auto add = [&](lanes::Program program, int64_t from, int64_t to, int64_t count) {
    if (count <= 0) return;
    const LoadedProgram loaded = LoadLanes(std::move(program), task.loads, tag, wide);
    lanes::Job job;
    job.groups = static_cast<int>(groups);
    job.bounds = {count, rows / groups, 1};
    job.level = 3;
    const int64_t in_row = in.pitch / slot;
    const int64_t out_row = out.pitch / slot;
    job.streams[0].base = static_cast<uint32_t>(from * slot);
    job.streams[0].strides = {in_row, 1, groups * in_row, 0};
    job.streams[1].base = static_cast<uint32_t>(to * slot);
    job.streams[1].strides = {out_row, 1, groups * out_row, 0};
    task.work.push_back(Lanes(loaded, job, {in.buffer, out.buffer, -1, -1}, 0b10, tag));
  };
  // Slots of the result that hold channels, counted from the first, and those of its accesses.
  const int64_t slots = up ? CeilDiv(lane + channels, cols) : CeilDiv(channels, cols);
  const int64_t end =
      RoundUp(up ? shift + channels : channels, kAccess / operand_) / cols - (up ? whole : 0);
  const int64_t to = up ? whole : 0;
  const int64_t from = up ? 0 : whole;
  lanes::Program zeros;
  zeros.body.StoreOperand(kZero, 1);
  add(zeros, 0, to + slots, end - slots);
  if (up) {
    // Of two neighbours the upper lanes of the first and the lower ones of the second.
    const int64_t sources = CeilDiv(channels, cols);
    auto program_of = [&](bool has_first, bool has_second) {
      lanes::Program program;
      if (lane == 0) {
        program.body.LoadOperand(kLow, 0).StoreOperand(kLow, 1);
        return program;
      }
      AddLanesFrom(program.init, lane, kUpper);
      if (has_first) {
        program.body.LoadOperand(kLow, 0, -1);
        AddRotation(program.body, kLow, cols - lane);
      } else {
        program.body.LoadOperand(kLow, 1);
      }
      if (has_second) {
        program.body.LoadOperand(kHigh, 0);
        AddRotation(program.body, kHigh, cols - lane);
      }
      program.body.Sel(kLow, kUpper, has_second ? kHigh : kZero, kLow).StoreOperand(kLow, 1);
      return program;
    };
    if (lane == 0) return add(program_of(false, false), 0, to, sources);
    add(program_of(false, true), 0, to, 1);
    add(program_of(true, true), 1, to + 1, sources - 1);
    add(program_of(true, false), sources, to + sources, slots - sources);
    return;
  }
  auto program_of = [&](bool ends) {
    lanes::Program program;
    program.body.LoadOperand(kLow, 0);
    if (lane > 0) {
      AddLanesFrom(program.init, cols - lane, kUpper);
      program.body.LoadOperand(kHigh, 0, 1);
      AddRotation(program.body, kLow, lane);
      AddRotation(program.body, kHigh, lane);
      program.body.Sel(kLow, kUpper, kHigh, kLow);
    }
    if (ends) {
      AddLanesFrom(program.init, channels % cols, kBehind);
      program.body.Sel(kLow, kBehind, kZero, kLow);
    }
    program.body.StoreOperand(kLow, 1);
    return program;
  };
  add(program_of(false), from, to, channels / cols);
  if (channels % cols > 0) add(program_of(true), from + slots - 1, to + slots - 1, 1);
}

}  // namespace vaultrain
