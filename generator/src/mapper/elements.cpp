// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Operations value by value: images go through a lane program from end to end, a few rows at a
// time; copies go through the scratchpad.

#include <fmt/format.h>

#include <utility>

#include "mapper/mapping.h"
#include "vaultrain/error.h"
#include "vaultrain/lane_library.h"

namespace vaultrain {

// Tensors in the order of the program's streams; all have the rows and channels of the result. That
// is stream kResult, and lies over the first of them.
void Mapper::AddLaneRows(lanes::Program program, const std::vector<int>& streams, int result,
                         int tag, double budget) {
  constexpr size_t kResult = 2;
  FlushLate();
  const int64_t cols = local_[result].cols;
  const int64_t pitch = OutPitch(local_[result], cols);
  const auto buffers = static_cast<int64_t>(streams.size());
  const int64_t all = raster_.at(result).Rows();
  const int64_t most = std::max<int64_t>(1, Scratchpad(budget) / 4 / (buffers * pitch));
  const int64_t parts = CeilDiv(all, most);
  const int64_t step = CeilDiv(all, parts);
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format("{} of {} rows at a time through the lanes", step, all);
  }
  std::vector<Load> shared;
  const LoadedProgram loaded = LoadLanes(std::move(program), shared, tag);
  for (int64_t row = 0; row < all; row += step) {
    const int64_t rows = std::min(step, all - row);
    Task task;
    task.loads = std::exchange(shared, {});
    std::array<int, isa::kLaneStreams> in_stream = {-1, -1, -1, -1};
    std::array<lanes::Row, isa::kLaneStreams> walk{};
    for (lanes::Row& each : walk) each.used = false;
    for (size_t i = 0; i < streams.size(); ++i) {
      if (streams[i] < 0) continue;
      const int buffer = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
      task.loads.emplace_back(
          LoadPlain(streams[i], row, rows, 0, cols, 0, pitch, false, buffer, tag));
      in_stream[i] = buffer;
      walk[i].used = true;
    }
    in_stream[kResult] = in_stream[0];
    walk[kResult].used = true;
    const int64_t slot = v_.array.cols * operand_;
    for (const lanes::Job& job :
         lanes::RowJobs(rows * pitch / slot, walk, v_.array.cols, static_cast<int>(operand_))) {
      task.work.push_back(Lanes(loaded, job, in_stream, 1u << kResult, tag));
    }
    task.stores.push_back(StorePlain(result, row, rows, 0, cols, pitch, in_stream[0], tag));
    s_->AddTask(std::move(task));
  }
}

void Mapper::AddElementForward(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer& l = graph_.layers[op.layer];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  if (l.kind == LayerKind::kActivation) {
    switch (l.function) {
      case Function::kRelu:
      case Function::kLeakyRelu:
        return AddLaneRows(lanes::LeakyReluForward(l.slope), {x}, y, tag, budget);
      case Function::kSigmoid:
        return AddLaneRows(lanes::SigmoidForward(), {x}, y, tag, budget);
      case Function::kTanh:
        return AddLaneRows(lanes::TanhForward(), {x}, y, tag, budget);
    }
  }
  const int other = tensor_of_[op.Tensor(Role::kX2)];
  AddLaneRows(l.kind == LayerKind::kAdd ? lanes::AddTensors(op.relu) : lanes::MultiplyTensors(),
              {x, other}, y, tag, budget);
}

void Mapper::AddElementBackward(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer& l = graph_.layers[op.layer];
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int dx = tensor_of_[op.Tensor(Role::kDx)];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int mask = op.mask ? x : -1;
  if (l.kind == LayerKind::kMultiply) {
    const int other = tensor_of_[op.Tensor(Role::kX2)];
    return AddLaneRows(lanes::Masked(lanes::MultiplyTensors(), op.mask), {dz, other, -1, mask}, dx,
                       tag, budget);
  }
  const bool of_y = l.function == Function::kSigmoid || l.function == Function::kTanh;
  const int at = of_y ? tensor_of_[op.Tensor(Role::kY)] : x;
  const lanes::Program program = l.function == Function::kSigmoid ? lanes::SigmoidBackward()
                                 : l.function == Function::kTanh
                                     ? lanes::TanhBackward()
                                     : lanes::LeakyReluBackward(l.slope);
  AddLaneRows(lanes::Masked(program, op.mask), {dz, at, -1, mask}, dx, tag, budget);
}

void Mapper::AddSum(const TrainingOp& op, int tag, double budget) {
  const std::vector<int> parts = op.Tensors(Role::kPart);
  const int dx = tensor_of_[op.Tensor(Role::kDx)];
  const int mask = op.mask ? tensor_of_[op.Tensor(Role::kX)] : -1;
  const int first = tensor_of_[parts[0]];
  const int second = parts.size() > 1 ? tensor_of_[parts[1]] : -1;
  const lanes::Program sum = second < 0 ? lanes::CopyTensor() : lanes::AddTensors(false);
  AddLaneRows(lanes::Masked(sum, op.mask), {first, second, -1, mask}, dx, tag, budget);
}

// Whole accesses of memory, so that what lies beside a part stays as it is.
void Mapper::AddCopy(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const bool forward = op.phase == Phase::kFeedForward;
  const int from = tensor_of_[op.Tensor(forward ? Role::kX : Role::kDz)];
  const int to = tensor_of_[op.Tensor(forward ? Role::kY : Role::kDx)];
  const int64_t channels = local_[forward ? from : to].cols;
  const int64_t whole = local_[forward ? to : from].cols;
  const int64_t unit = kAccess / operand_;
  if (op.channel % unit != 0 || (channels % unit != 0 && op.channel + channels != whole)) {
    RefuseInput(
        "{}: layer {}: channels {} to {} of {} are not whole accesses of memory; accepted for "
        "Concat: parts of a multiple of {} channels",
        graph_.file, graph_.layers[op.layer].name, op.channel, op.channel + channels, whole, unit);
  }
  const int64_t all = raster_.at(from).Rows();
  const int64_t pitch = OutPitch(local_[from], channels);
  const int64_t step = std::max<int64_t>(1, std::min(all, Scratchpad(budget) / 4 / pitch));
  data_flow_[tag] = fmt::format("{} of {} rows at a time through the scratchpad", step, all);
  for (int64_t row = 0; row < all; row += step) {
    const int64_t rows = std::min(step, all - row);
    const int buffer = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
    Task task;
    task.loads.emplace_back(LoadPlain(from, row, rows, forward ? 0 : op.channel, channels, 0, pitch,
                                      false, buffer, tag));
    task.stores.push_back(
        StorePlain(to, row, rows, forward ? op.channel : 0, channels, pitch, buffer, tag));
    s_->AddTask(std::move(task));
  }
}

}  // namespace vaultrain
