// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The loss of each sample and its gradient by the last layer: cross-entropy in the vector unit, the
// mean square in the lanes.

#include <utility>

#include "mapper/mapping.h"
#include "vaultrain/lane_library.h"

namespace vaultrain {

using isa::Descriptor;
using isa::FieldId;
using isa::Opcode;

// Outputs of samples as fp32: as the layer before left them, or from memory.
int Mapper::LoadOutputs(Task& task, int outputs, int64_t row, int64_t rows, int64_t pitch,
                        int64_t* offset, int tag) {
  const bool narrow = BytesOf(local_[outputs]) < 4;
  const auto kept = resident_.find(outputs);
  if (!narrow && kept != resident_.end()) {
    *offset = row * pitch;
    return kept->second;
  }
  *offset = 0;
  const int in = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
  if (narrow) {
    AddWidening(task, outputs, row, rows, in, pitch, tag);
  } else {
    task.loads.emplace_back(
        LoadPlain(outputs, row, rows, 0, local_[outputs].cols, 0, pitch, false, in, tag));
  }
  return in;
}

void Mapper::AddCrossEntropy(const TrainingOp& op, int tag) {
  const int logits = tensor_of_[op.Tensor(Role::kLogits)];
  const int labels = tensor_of_[op.Tensor(Role::kLabel)];
  const int loss = tensor_of_[op.Tensor(Role::kLoss)];
  const int gradient = tensor_of_[op.Tensor(Role::kDz)];
  const int64_t classes = local_[logits].cols;
  const int64_t logits_pitch = RoundUp(classes * 4, std::max(kAccess, word_));
  const int64_t gradient_pitch = OutPitch(local_[gradient], classes);
  // Chunks of samples that fit, in whole accesses of labels.
  const int64_t sample_bytes = logits_pitch + gradient_pitch + 8;
  const int64_t step = kAccess / 2;
  const int64_t turn = SamplesOfFlatTurn();
  const int64_t most = std::min(
      turn, std::max<int64_t>(step, v_.scratchpad.kib * 1024 / 4 / sample_bytes / step * step));
  for (int64_t row = 0; row < local_batch_; row += most) {
    const int64_t rows = std::min(most, local_batch_ - row);
    Task task;
    int64_t in_offset = 0;
    const int in = LoadOutputs(task, logits, row, rows, logits_pitch, &in_offset, tag);
    const int label_pitch = static_cast<int>(RoundUp(RoundUp(rows * 2, kAccess), word_));
    const int label = s_->AddBuffer(static_cast<uint32_t>(label_pitch), false);
    const int grad = s_->AddBuffer(static_cast<uint32_t>(rows * gradient_pitch), false);
    const int64_t loss_pitch = RoundUp(RoundUp(rows * 4, kAccess), word_);
    const int losses = s_->AddBuffer(static_cast<uint32_t>(loss_pitch), false);
    if (rows == local_batch_ && IsSmall(local_[gradient])) resident_[gradient] = grad;
    task.loads.push_back(
        LoadPlain(labels, row / turn, 1, row % turn, rows, 0, label_pitch, false, label, tag));
    Step work;
    work.engine = Engine::kVector;
    work.buffers = {{in, false}, {label, false}, {grad, true}, {losses, true}};
    work.make = [=, this](const Place&) {
      Descriptor d(Opcode::kSoftmax);
      d.Set(FieldId::kTag, tag);
      d.Set(FieldId::kSRows, rows);
      d.Set(FieldId::kClasses, classes);
      d.Set(FieldId::kLogitsAddr, s_->AddressOf(in) + in_offset);
      d.Set(FieldId::kLogitsPitch, logits_pitch);
      d.Set(FieldId::kLabelsAddr, s_->AddressOf(label));
      d.Set(FieldId::kGradAddr, s_->AddressOf(grad));
      d.Set(FieldId::kGradPitch, gradient_pitch);
      d.Set(FieldId::kLossAddr, s_->AddressOf(losses));
      d.Set(FieldId::kSScalar, kScalarOne);
      return d;
    };
    task.work.push_back(std::move(work));
    task.stores.push_back(StorePlain(gradient, row, rows, 0, classes, gradient_pitch, grad, tag));
    task.stores.push_back(
        StorePlain(loss, row / turn, 1, row % turn, rows, loss_pitch, losses, tag));
    AddTask(std::move(task));
  }
}

// Samples are the groups of the lanes.
void Mapper::AddMeanSquare(const TrainingOp& op, int tag) {
  FlushLate();
  const int outputs = tensor_of_[op.Tensor(Role::kLogits)];
  const int targets = tensor_of_[op.Tensor(Role::kLabel)];
  const int loss = tensor_of_[op.Tensor(Role::kLoss)];
  const int gradient = tensor_of_[op.Tensor(Role::kDz)];
  const int64_t values = local_[outputs].cols;
  const int64_t pitch = RoundUp(values * 4, std::max(kAccess, word_));
  const int64_t gradient_pitch = LanePitch(values);
  const int64_t stored_pitch = gradient_pitch * WidthOf(gradient);
  const int64_t loss_pitch = std::max(kAccess, word_);
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t slots = CeilDiv(values, cols);
  const int64_t fit = v_.scratchpad.kib * 1024 / 4 / (2 * pitch + stored_pitch + loss_pitch);
  const int64_t most = std::clamp<int64_t>(fit, 1, SamplesOfFlatTurn());
  data_flow_[tag] = "samples through the lanes";
  std::vector<Load> shared;
  const LoadedProgram loaded =
      LoadLanes(lanes::MeanSquare(static_cast<int>(values), static_cast<int>(cols),
                                  static_cast<int>(gradient_pitch / slot)),
                shared, tag, WideStreams({-1, -1, gradient, -1}));
  for (int64_t row = 0; row < local_batch_; row += most) {
    const int64_t rows = std::min(most, local_batch_ - row);
    Task task;
    task.loads = std::exchange(shared, {});
    int64_t in_offset = 0;
    const int in = LoadOutputs(task, outputs, row, rows, pitch, &in_offset, tag);
    const int wanted = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
    const int grad = s_->AddBuffer(static_cast<uint32_t>(rows * stored_pitch), false);
    const int losses = s_->AddBuffer(static_cast<uint32_t>(rows * loss_pitch), false);
    if (rows == local_batch_ && IsSmall(local_[gradient])) resident_[gradient] = grad;
    task.loads.emplace_back(LoadPlain(targets, row, rows, 0, values, 0, pitch, false, wanted, tag));
    auto add_job = [&](int64_t first, int64_t groups, int64_t times) {
      if (groups * times == 0) return;
      const std::array<int64_t, isa::kLaneStreams> pitches = {pitch, pitch, gradient_pitch,
                                                              loss_pitch};
      const std::array<int64_t, isa::kLaneStreams> steps = {4 / operand_, 4 / operand_, 1, 0};
      lanes::Job job;
      job.groups = static_cast<int>(groups);
      job.bounds = {slots, times, 1};
      job.level = 1;
      for (int s = 0; s < isa::kLaneStreams; ++s) {
        job.streams[s].base = static_cast<uint32_t>(first * pitches[s]);
        job.streams[s].strides = {pitches[s] / slot, steps[s], groups * pitches[s] / slot, 0};
      }
      job.streams[0].base += static_cast<uint32_t>(in_offset);
      task.work.push_back(Lanes(loaded, job, {in, wanted, grad, losses}, 0b1100, tag));
    };
    const int64_t whole = rows / isa::kLaneGroups;
    add_job(0, isa::kLaneGroups, whole);
    add_job(whole * isa::kLaneGroups, rows % isa::kLaneGroups, 1);
    task.stores.push_back(StorePlain(gradient, row, rows, 0, values, stored_pitch, grad, tag));
    task.stores.push_back(StorePlain(loss, row, rows, 0, 1, loss_pitch, losses, tag));
    AddTask(std::move(task));
  }
}

}  // namespace vaultrain
