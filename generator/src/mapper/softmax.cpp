// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Softmax over the channels of each pixel, tile by tile in the lanes, which hold samples as their
// groups. FF goes over a tile three times, for the maximum, the sum and the result; BP twice.

#include <fmt/format.h>

#include "mapper/mapping.h"
#include "vaultrain/lane_library.h"

namespace vaultrain {

void Mapper::AddSoftmaxForward(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer& l = graph_.layers[op.layer];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const Raster& r = raster_.at(x);
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t wide = 4 / operand_;  // slots
  const int64_t channels = l.from.channels;
  const int64_t pitch = OutPitch(local_[y], channels);
  const int64_t pixel = r.samples * pitch;
  const int64_t found_pitch = RoundUp(2 * cols * 4, std::max(kAccess, word_));
  const int64_t of_pixel = pixel + r.samples * found_pitch;
  const Tile tile = NormTile(l, budget, of_pixel, {x});
  data_flow_[tag] = fmt::format("{} through the lanes once; tiles of {} x {} pixels by {} samples",
                                local_[x].name, tile.rows, tile.pixels, r.samples);
  std::vector<Load> shared;
  auto load = [&](lanes::Program program) { return LoadLanes(std::move(program), shared, tag); };
  const auto values = static_cast<int>(channels);
  const auto width = static_cast<int>(cols);
  const auto next = static_cast<int>(wide);
  const LoadedProgram maximum = load(lanes::SoftmaxMaximum(values, width));
  const LoadedProgram sum = load(lanes::SoftmaxSum(values, width, next));
  const LoadedProgram apply = load(lanes::SoftmaxForward(values, width, next));
  ForEachTile(r, r.samples, l.from.height, l.from.width, tile, [&](const Patch& p) {
    const int64_t pixels = p.rows * p.pixels;
    Task task;
    task.loads = std::exchange(shared, {});
    const int values_of = s_->AddBuffer(static_cast<uint32_t>(pixels * pixel), false);
    const int found = s_->AddBuffer(static_cast<uint32_t>(pixels * r.samples * found_pitch), false);
    AddPatchLoads(task.loads, x, p, 0, channels, pitch, values_of, tag);
    lanes::Job job;
    job.bounds = {CeilDiv(channels, cols), pixels, 1};
    job.level = 1;
    job.streams[0].strides = {pitch / slot, 1, pixel / slot, 0};
    job.streams[1].strides = {found_pitch / slot, 0, r.samples * found_pitch / slot, 0};
    job.streams[2] = job.streams[0];
    const std::array<int64_t, isa::kLaneStreams> of_sample = {pitch, found_pitch, pitch, 0};
    AddSampleJobs(task, maximum, job, r.samples, {values_of, found, -1, -1}, of_sample, 0b10, tag);
    AddSampleJobs(task, sum, job, r.samples, {values_of, found, -1, -1}, of_sample, 0b10, tag);
    AddSampleJobs(task, apply, job, r.samples, {values_of, found, values_of, -1}, of_sample, 0b100,
                  tag);
    AddPatchStores(task.stores, y, p, 0, channels, pitch, values_of, tag);
    AddTask(std::move(task));
  });
}

void Mapper::AddSoftmaxBackward(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer& l = graph_.layers[op.layer];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int dx = tensor_of_[op.Tensor(Role::kDx)];
  const Raster& r = raster_.at(y);
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t channels = l.from.channels;
  const int64_t pitch = LanePitch(channels);
  const int64_t width = WidthOf(dz);  // of gradients, in operands
  const int64_t pixel = r.samples * pitch;
  const int64_t sum_pitch = RoundUp(cols * 4, std::max(kAccess, word_));
  const Tile tile = NormTile(l, budget, (1 + width) * pixel + r.samples * sum_pitch, {dz});
  data_flow_[tag] =
      fmt::format("{} and {} through the lanes once; tiles of {} x {} pixels by {} samples",
                  local_[dz].name, local_[y].name, tile.rows, tile.pixels, r.samples);
  std::vector<Load> shared;
  const unsigned wide_streams = WideStreams({dz});
  const LoadedProgram sum =
      LoadLanes(lanes::SoftmaxGradientSum(static_cast<int>(cols)), shared, tag, wide_streams);
  const LoadedProgram apply = LoadLanes(lanes::SoftmaxBackward(), shared, tag, wide_streams);
  ForEachTile(r, r.samples, l.from.height, l.from.width, tile, [&](const Patch& p) {
    const int64_t pixels = p.rows * p.pixels;
    Task task;
    task.loads = std::exchange(shared, {});
    const int gradients = s_->AddBuffer(static_cast<uint32_t>(pixels * pixel * width), false);
    const int results = s_->AddBuffer(static_cast<uint32_t>(pixels * pixel), false);
    const int sums = s_->AddBuffer(static_cast<uint32_t>(pixels * r.samples * sum_pitch), false);
    AddPatchLoads(task.loads, dz, p, 0, channels, pitch * width, gradients, tag);
    AddPatchLoads(task.loads, y, p, 0, channels, pitch, results, tag);
    lanes::Job job;
    job.bounds = {CeilDiv(channels, cols), pixels, 1};
    job.level = 1;
    job.streams[0].strides = {pitch / slot, 1, pixel / slot, 0};
    job.streams[1] = job.streams[0];
    job.streams[2].strides = {sum_pitch / slot, 0, r.samples * sum_pitch / slot, 0};
    const std::array<int64_t, isa::kLaneStreams> of_sample = {pitch, pitch, sum_pitch, 0};
    const std::array<int, isa::kLaneStreams> buffers = {gradients, results, sums, -1};
    AddSampleJobs(task, sum, job, r.samples, buffers, of_sample, 0b100, tag);
    AddSampleJobs(task, apply, job, r.samples, buffers, of_sample, 0b1, tag);
    AddPatchStores(task.stores, dx, p, 0, channels, pitch * width, gradients, tag);
    AddTask(std::move(task));
  });
}

}  // namespace vaultrain
