// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "vaultrain/error.h"
#include "vaultrain/mapper.h"
#include "vaultrain/random.h"
#include "vaultrain/tensors.h"

namespace vaultrain {
namespace {

void WriteBatch(const Program& program, const StepData& data, Device& device) {
  for (const ProgramSegment& segment : BatchSegments(program, data)) {
    device.Write(segment.address, segment.bytes);
  }
}

// Share of test samples whose largest logit, the first if several, is the label's; nothing if it
// was stopped.
std::optional<double> Accuracy(const Program& program, const Recipe& recipe, const Dataset& test,
                               Device& device, const std::function<bool()>& stop) {
  const WholeTensor logits = TensorOf(program, TensorRole::kLogits);
  const ProgramStream& infer = program.Stream("infer");
  int64_t right = 0;
  for (int64_t begin = 0; begin < test.size(); begin += program.batch) {
    if (stop && stop()) return std::nullopt;
    // The last batch is filled up with samples that are not counted.
    const int64_t count = std::min<int64_t>(program.batch, test.size() - begin);
    std::vector<uint32_t> samples(program.batch, static_cast<uint32_t>(begin));
    std::iota(samples.begin(), samples.begin() + count, static_cast<uint32_t>(begin));
    const StepData data = GatherStep(test, recipe, samples);
    WriteBatch(program, data, device);
    device.Run(infer);
    const std::vector<float> values = Gather(logits, device);
    for (int64_t i = 0; i < count; ++i) {
      const auto row = values.begin() + i * logits.cols;
      right += std::max_element(row, row + logits.cols) - row == data.labels[i];
    }
  }
  return static_cast<double>(right) / static_cast<double>(test.size());
}

bool Survives(const ProgramTensor& tensor) {
  return tensor.role == TensorRole::kWeight || tensor.role == TensorRole::kState;
}

Checkpoint StateOf(const Program& program, const TrainReport& report, Device& device) {
  Checkpoint state;
  state.step = static_cast<int64_t>(report.loss.size());
  state.place = static_cast<uint64_t>(state.step) * static_cast<uint64_t>(program.batch);
  state.loss = report.loss;
  state.cycles = report.cycles;
  state.steps_compared = report.steps_compared;
  state.tensors_compared = report.tensors_compared;
  for (const ProgramTensor& tensor : program.tensors) {
    if (Survives(tensor)) state.tensors.push_back({tensor.name, ReadValues(tensor, device)});
  }
  return state;
}

void LoadState(const Program& program, const Checkpoint& state, Device& device) {
  auto next = state.tensors.begin();
  for (const ProgramTensor& tensor : program.tensors) {
    if (!Survives(tensor)) continue;
    const auto bytes = static_cast<size_t>(tensor.rows * tensor.cols * BytesOf(tensor.format));
    if (next == state.tensors.end() || next->name != tensor.name || next->values.size() != bytes) {
      RefuseInput("the checkpoint does not hold {} as {} x {} values", tensor.name, tensor.rows,
                  tensor.cols);
    }
    LoadValues(tensor, next->values, device);
    ++next;
  }
  if (next != state.tensors.end()) {
    RefuseInput("the checkpoint holds {}, which the program does not", next->name);
  }
}

}  // namespace

void SetStep(Device& device, const Recipe& recipe, int64_t step, float step_size) {
  device.SetScalar(kScalarStep, -step_size);
  device.SetScalar(kScalarOne, 1.0f);
  device.SetSeed(
      static_cast<uint32_t>(Random(recipe.seed, fmt::format("rounding/{}", step)).Next()));
  device.SetScalar(kScalarMask, Random(recipe.seed, fmt::format("dropout/{}", step)).OneToTwo());
}

std::vector<ProgramSegment> BatchSegments(const Program& program, const StepData& data) {
  std::vector<ProgramSegment> segments =
      Scatter(TensorOf(program, TensorRole::kInput), data.inputs);
  const WholeTensor label = TensorOf(program, TensorRole::kLabel);
  const bool by_class = label.parts[0]->format == ElementFormat::kU16;
  const std::vector<float> labels = by_class
                                        ? std::vector<float>(data.labels.begin(), data.labels.end())
                                        : TargetsOf(data, label.cols);
  for (ProgramSegment& segment : Scatter(label, labels)) {
    segments.push_back(std::move(segment));
  }
  return segments;
}

std::map<std::string, std::vector<float>> TrainedParameters(const Program& program,
                                                            Device& device) {
  std::map<std::string, std::vector<float>> parameters;
  for (const ProgramTensor& part : program.tensors) {
    if (part.role != TensorRole::kWeight || parameters.count(part.tensor) > 0) continue;
    parameters[part.tensor] = Gather(TensorOf(program, part.tensor), device);
  }
  return parameters;
}

double MeanLoss(const Program& program, Device& device) {
  const std::vector<float> losses = Gather(TensorOf(program, TensorRole::kLoss), device);
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
}

TrainReport Train(const Program& program, const Recipe& recipe, const TrainTest& data,
                  int64_t steps, Device& engine, Device* compared, Device& evaluator,
                  const TrainHooks& hooks, const Checkpoint* resume) {
  TrainReport report;
  const ProgramStream& train = program.Stream("train");
  DataOrder order(static_cast<uint32_t>(data.train.size()), static_cast<uint32_t>(program.batch),
                  recipe.seed);
  std::vector<Device*> devices = {&engine};
  if (compared != nullptr) devices.push_back(compared);
  for (Device* device : devices) {
    device->Load(program.image);
    if (resume != nullptr) LoadState(program, *resume, *device);
  }
  if (resume != nullptr) {
    report.first_step = resume->step;
    report.loss = resume->loss;
    report.cycles = resume->cycles;
    report.steps_compared = resume->steps_compared;
    report.tensors_compared = resume->tensors_compared;
  }
  for (int64_t step = report.first_step; step < steps; ++step) {
    const StepData batch = GatherStep(data.train, recipe, order.Batch(static_cast<uint64_t>(step)));
    for (Device* device : devices) {
      WriteBatch(program, batch, *device);
      SetStep(*device, recipe, step, StepSize(recipe, step, steps));
    }
    const auto begin = std::chrono::steady_clock::now();
    report.last = engine.Run(train);
    report.run_seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    report.cycles += report.last.counters.cycles;
    report.error = report.last.error;
    if (report.error != isa::ErrorCode::kNone) return report;
    if (compared != nullptr) {
      compared->Run(train);
      report.mismatch = CompareTensors(program, engine, *compared);
      if (report.mismatch) {
        report.mismatch_step = step;
        report.mismatch_cycle = report.last.counters.cycles;
        return report;
      }
      report.tensors_compared += program.tensors.size();
      ++report.steps_compared;
    }
    report.loss.push_back(MeanLoss(program, engine));
    if (hooks.progress) hooks.progress(step + 1, report.loss.back());
    const bool stopped = hooks.stop && hooks.stop();
    const bool due = hooks.save_every > 0 && (step + 1) % hooks.save_every == 0;
    if (hooks.save && (due || stopped || step + 1 == steps)) {
      hooks.save(StateOf(program, report, engine));
    }
    if (stopped) {
      report.interrupted = true;
      return report;
    }
  }
  report.bit_exact = compared != nullptr;
  if (data.test.size() > 0 && data.test.has_classes()) {
    evaluator.Load(program.image);
    for (const ProgramTensor& tensor : program.tensors) {
      if (tensor.role == TensorRole::kWeight) {
        LoadValues(tensor, ReadValues(tensor, engine), evaluator);
      }
    }
    report.test_accuracy = Accuracy(program, recipe, data.test, evaluator, hooks.stop);
    report.interrupted = !report.test_accuracy;
  }
  return report;
}

}  // namespace vaultrain
