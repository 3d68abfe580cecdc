// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Weight updates that keep state, decay or clip: a lane program over rows of the summed gradient,
// the state and the parameter, at their owner.

#include "mapper/mapping.h"
#include "vaultrain/lane_library.h"

namespace vaultrain {

// What the optimiser keeps of every parameter: "fc1.W" -> "fc1.mW", "fc1.qW".
void Mapper::PlaceState() {
  for (size_t i = 0; i < graph_.tensors.size(); ++i) {
    if (!graph_.tensors[i].is_trained()) continue;
    for (int s = 0; s < StateTensors(recipe_); ++s) {
      const ProgramTensor parameter = local_[tensor_of_[i]];
      std::string name = parameter.name;
      name.insert(name.rfind('.') + 1, 1, s == 0 ? 'm' : 'q');
      state_of_[tensor_of_[i]].push_back(
          Allocate(name, TensorRole::kState, ElementFormat::kFp32, parameter.rows, parameter.cols));
    }
  }
}

void Mapper::AddOptimiserStep(int parameter, int64_t row, int64_t rows, int64_t col, int64_t cols,
                              int sums, int64_t sums_offset, int64_t sums_pitch, int owner,
                              bool of_bias, int tag) {
  const int64_t lanes = v_.array.cols;
  const int64_t padded = RoundUp(cols, lanes);
  const int64_t pitch = RoundUp(padded * 4, std::max(kAccess, word_));
  const std::vector<int>& states = state_of_[parameter];
  Task task;
  int gradient = sums;
  int64_t offset = sums_offset;
  const bool over_mesh = grid_.batch.parts > 1;
  std::vector<Step> waits;
  if (over_mesh) {
    gradient = s_->AddBuffer(static_cast<uint32_t>(rows * sums_pitch), false);
    offset = 0;
    Task sum;
    sum.work.push_back(Reduce(Axis::kBatch, owner, sums, sums_offset, sums_pitch, rows, padded * 4,
                              gradient, tag));
    AddTask(std::move(sum));
    waits.push_back(Summed(Axis::kBatch, owner, gradient, tag));
    // While this sum is under way, the step of the one before is taken.
    FlushLate();
  }
  auto at_owner = [&](Step step) {
    return over_mesh ? Only(Axis::kBatch, owner, std::move(step)) : std::move(step);
  };
  const int weights = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
  task.loads.emplace_back(
      at_owner(LoadPlain(parameter, row, rows, col, cols, 0, pitch, false, weights, tag)));
  int state = -1;
  if (!states.empty()) {
    state = s_->AddBuffer(static_cast<uint32_t>(static_cast<int64_t>(states.size()) * rows * pitch),
                          false);
  }
  for (size_t s = 0; s < states.size(); ++s) {
    task.loads.emplace_back(
        at_owner(LoadPlain(states[s], row, rows, col, cols, 0, pitch, false, state, tag,
                           static_cast<int64_t>(s) * rows * pitch)));
  }

  const int64_t slot = lanes * operand_;
  const int64_t wide = lanes * 4 / slot;
  const int64_t all = padded / lanes;
  const int64_t groups = LaneGroupsOf(all);
  const LoadedProgram program =
      LoadLanes(lanes::OptimiserStep(OptimiserOf(recipe_, of_bias), kScalarStep,
                                     static_cast<int>(rows * pitch / slot)),
                task.loads, tag);
  lanes::Job job;
  job.groups = static_cast<int>(groups);
  job.bounds = {all / groups, rows, 1};
  job.level = 3;
  for (lanes::Stream& stream : job.streams) {
    stream.strides = {wide, groups * wide, pitch / slot, 0};
  }
  job.streams[0].base = static_cast<uint32_t>(offset);
  job.streams[0].strides[2] = sums_pitch / slot;
  task.work.push_back(at_owner(Lanes(program, job, {gradient, state, weights, -1}, 0b110, tag)));
  task.stores.push_back(at_owner(StorePlain(parameter, row, rows, col, cols, pitch, weights, tag)));
  for (size_t s = 0; s < states.size(); ++s) {
    task.stores.push_back(at_owner(StorePlain(states[s], row, rows, col, cols, pitch, state, tag,
                                              static_cast<int64_t>(s) * rows * pitch)));
  }
  if (over_mesh) {
    late_ = {std::move(task.loads), std::move(waits), std::move(task.work), std::move(task.stores),
             updates_};
  } else {
    AddTask(std::move(task));
  }
}

}  // namespace vaultrain
