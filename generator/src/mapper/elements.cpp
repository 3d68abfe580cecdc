// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Operations value by value: images go through a lane program from end to end, a few rows at a
// time; copies go through the scratchpad.

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "mapper/mapping.h"
#include "vaultrain/error.h"
#include "vaultrain/lane_library.h"
#include "vaultrain/random.h"

namespace vaultrain {

// Tensors in the order of the program's streams; all have the rows and channels of the result. That
// is stream kResult, and lies over the first of them.
void Mapper::AddLaneRows(lanes::Program program, const std::vector<int>& streams, int result,
                         int tag, double budget, int random_layer) {
  constexpr size_t kSeeds = 1, kResult = 2;
  constexpr int64_t kJobsOfTile = 2;  // RowJobs makes at most
  FlushLate();
  const int64_t cols = local_[result].cols;
  const int64_t pitch = LanePitch(cols);
  // With seeds as many in FF as in BP, where gradients may be wide.
  auto width = [&](int tensor) -> int64_t {
    if (random_layer >= 0) return v_.HasWideGradients() ? 2 : 1;
    return tensor < 0 ? 1 : WidthOf(tensor);
  };
  int64_t buffers = 0;
  for (const int tensor : streams) buffers += width(tensor);
  const Raster& r = raster_.at(result);
  std::vector<std::pair<int, int64_t>> pitches = {{result, pitch * WidthOf(result)}};
  for (const int tensor : streams) {
    if (tensor >= 0) pitches.emplace_back(tensor, pitch * WidthOf(tensor));
  }
  // Seeds belong to rows, so that they are the same in FF and BP.
  const int64_t samples = random_layer < 0 ? SamplesOfTurn(r, pitches) : r.samples;
  const bool turns = samples < r.samples;
  const int64_t unit = turns ? samples : 1;  // rows that stay together
  const int64_t all = turns ? r.Rows() / r.samples * samples : r.Rows();
  const int64_t most = std::max<int64_t>(1, Scratchpad(budget) / 4 / (buffers * pitch * unit));
  const int64_t parts = CeilDiv(all / unit, most);
  int64_t step = CeilDiv(all / unit, parts) * unit;
  if (random_layer < 0) {
    const auto tile = TileAsStored(streams, most * unit / samples);
    if (tile) step = tile->rows * tile->pixels * samples;
  }
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format("{} of {} rows at a time through the lanes", step, all);
  }
  std::vector<Load> shared;
  std::vector<int> all_streams = streams;
  all_streams.resize(isa::kLaneStreams, -1);
  all_streams[kResult] = result;
  const bool clears = !program.keeps_zeros && cols * operand_ < pitch;
  const LoadedProgram loaded = LoadLanes(std::move(program), shared, tag, WideStreams(all_streams));
  const int seeds = random_layer < 0 ? -1 : SeedsOf(random_layer, parts * kJobsOfTile);
  const int64_t seed_pitch = RoundUp(v_.array.cols * 4, std::max(kAccess, word_));
  auto add_rows = [&](const Samples& of, int64_t row) {
    const int64_t rows = std::min(step, all - row);
    const int64_t from = row / samples * r.samples;  // of a turn
    Task task;
    task.loads = std::exchange(shared, {});
    std::array<int, isa::kLaneStreams> in_stream = {-1, -1, -1, -1};
    std::array<lanes::Row, isa::kLaneStreams> walk{};
    for (lanes::Row& each : walk) each.used = false;
    for (size_t i = 0; i < streams.size(); ++i) {
      if (streams[i] < 0) continue;
      const int64_t in_pitch = pitch * WidthOf(streams[i]);
      const int buffer = s_->AddBuffer(static_cast<uint32_t>(rows * in_pitch), false);
      task.loads.emplace_back(
          turns ? MoveTurn(Engine::kLoad, streams[i], from, rows / samples, of, buffer, 0, tag)
                : LoadPlain(streams[i], row, rows, 0, cols, 0, in_pitch, false, buffer, tag));
      in_stream[i] = buffer;
      walk[i].used = true;
    }
    in_stream[kResult] = in_stream[0];
    walk[kResult].used = true;
    if (seeds >= 0) {
      in_stream[kSeeds] = s_->AddBuffer(static_cast<uint32_t>(kJobsOfTile * seed_pitch), false);
      task.loads.emplace_back(LoadPlain(seeds, row / step * kJobsOfTile, kJobsOfTile, 0,
                                        v_.array.cols, 0, seed_pitch, false, in_stream[kSeeds],
                                        tag));
    }
    const int64_t slot = v_.array.cols * operand_;
    int64_t seed = 0;
    for (lanes::Job& job :
         lanes::RowJobs(rows * pitch / slot, walk, v_.array.cols, static_cast<int>(operand_))) {
      job.streams[kSeeds].base += static_cast<uint32_t>(seeds >= 0 ? seed_pitch * seed++ : 0);
      task.work.push_back(Lanes(loaded, job, in_stream, 1u << kResult, tag));
    }
    if (clears) AddClearing(task, result, in_stream[0], rows, pitch, tag);
    task.stores.push_back(
        turns ? MoveTurn(Engine::kStore, result, from, rows / samples, of, in_stream[0], 0, tag)
              : StorePlain(result, row, rows, 0, cols, pitch * WidthOf(result), in_stream[0], tag));
    AddTask(std::move(task));
  };
  for (int64_t begin = 0; begin < r.samples; begin += samples) {
    for (int64_t row = 0; row < all; row += step) add_rows({0, begin, samples}, row);
  }
}

// Numbers from 1 to 2, of the lanes of each job; parts of the batch have their own. The tensor gets
// its place at its first use.
int Mapper::SeedsOf(int layer, int64_t jobs) {
  const auto [found, is_new] = seeds_.try_emplace({layer, jobs}, -1);
  if (!is_new) return found->second;
  const std::string name = fmt::format("{}.seeds.{}", graph_.layers[layer].name, jobs);
  found->second = Allocate(name, TensorRole::kConstant, ElementFormat::kFp32, jobs, v_.array.cols);
  const ProgramTensor& seeds = local_[found->second];
  for (size_t node = 0; node < grid_.places.size(); ++node) {
    Random random(recipe_.seed, fmt::format("dropout/{}/{}", graph_.layers[layer].name,
                                            grid_.places[node].batch_part));
    ProgramSegment segment;
    segment.address = seeds.address + node * vault_bytes_;
    segment.bytes.resize(static_cast<size_t>(jobs * seeds.pitch_bytes));
    for (int64_t job = 0; job < jobs; ++job) {
      for (int lane = 0; lane < v_.array.cols; ++lane) {
        const float seed = random.OneToTwo();
        std::memcpy(segment.bytes.data() + job * seeds.pitch_bytes + 4 * lane, &seed, sizeof(seed));
      }
    }
    program_.image.push_back(std::move(segment));
  }
  return found->second;
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
      case Function::kAffine:
        return AddLaneRows(lanes::AffineForward(l.slope, l.shift), {x}, y, tag, budget);
    }
  }
  if (l.kind == LayerKind::kDropout) {
    if (!trains_) return AddLaneRows(lanes::CopyTensor(), {x}, y, tag, budget);
    // As many streams as in BP, so that the tiles, and with them the masks, are the same.
    return AddLaneRows(lanes::Dropout(l.ratio, kScalarMask), {x, -1, -1, -1}, y, tag, budget,
                       op.layer);
  }
  const int other = tensor_of_[op.Tensor(Role::kX2)];
  const lanes::Program program = l.kind == LayerKind::kAdd        ? lanes::AddTensors(op.relu)
                                 : l.kind == LayerKind::kSubtract ? lanes::SubtractTensors(op.relu)
                                 : l.kind == LayerKind::kDivide   ? lanes::DivideTensors()
                                                                  : lanes::MultiplyTensors();
  AddLaneRows(program, {x, other}, y, tag, budget);
}

void Mapper::AddElementBackward(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer& l = graph_.layers[op.layer];
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int dx = tensor_of_[op.Tensor(Role::kDx)];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int mask = op.mask ? x : -1;
  if (l.kind == LayerKind::kSubtract) {
    return AddLaneRows(lanes::Masked(lanes::NegateTensor(), op.mask), {dz, -1, -1, mask}, dx, tag,
                       budget);
  }
  if (l.kind == LayerKind::kDropout) {
    return AddLaneRows(lanes::Masked(lanes::Dropout(l.ratio, kScalarMask), op.mask),
                       {dz, -1, -1, mask}, dx, tag, budget, op.layer);
  }
  if (l.kind == LayerKind::kDivide && op.Tensor(Role::kY) >= 0) {
    return AddLaneRows(lanes::DivisorBackward(op.mask),
                       {dz, x, -1, tensor_of_[op.Tensor(Role::kY)]}, dx, tag, budget);
  }
  if (l.kind == LayerKind::kMultiply || l.kind == LayerKind::kDivide) {
    const int other = tensor_of_[op.Tensor(Role::kX2)];
    const lanes::Program program =
        l.kind == LayerKind::kMultiply ? lanes::MultiplyTensors() : lanes::DivideTensors();
    return AddLaneRows(lanes::Masked(program, op.mask), {dz, other, -1, mask}, dx, tag, budget);
  }
  if (l.function == Function::kAffine) {
    return AddLaneRows(lanes::Masked(lanes::AffineForward(l.slope, 0), op.mask), {dz, -1, -1, mask},
                       dx, tag, budget);
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

}  // namespace vaultrain
