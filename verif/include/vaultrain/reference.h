// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Training in double precision: what the hardware's error is measured against.

#ifndef VAULTRAIN_REFERENCE_H_
#define VAULTRAIN_REFERENCE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "vaultrain/dataset.h"
#include "vaultrain/recipe.h"
#include "vaultrain/training_graph.h"

namespace vaultrain {

// Runs the operations of a TrainingGraph, each by its definition in training_graph.h, in double.
class Reference {
 public:
  // parameters: one vector per tensor, as StartingParameters gives them. Of the recipe only the
  // optimiser counts, its batch and the seed.
  Reference(const TrainingGraph& graph, const std::vector<std::vector<float>>& parameters,
            const Recipe& recipe = DefaultRecipe());

  // One step over inputs [batch][features] and labels or targets by a StepSize; afterwards tensor()
  // shows every tensor of the step, parameters already updated. Returns the mean loss of the batch.
  double Step(const StepData& data, double step_size);

  // The same in parts: FF with the loss and its gradient; then BP and UP. Inference takes running
  // statistics for those of the batch, and leaves them; dropouts then do nothing.
  double Forward(const StepData& data, bool infer = false);
  void BackwardAndUpdate(double step_size);

  // Which values a dropout keeps, [batch][features]; DrawMasks draws those of all of them, as the
  // constructor does for step 0. No machine has the same ones.
  void SetMask(int layer, std::vector<bool> kept) { masks_[layer] = std::move(kept); }
  void DrawMasks(int64_t step);

  // Values of a tensor of the training graph, row-major; the caller may change parameters.
  std::vector<double>& tensor(int index) { return values_[index]; }

  // State of a parameter, which < StateTensors: v; or m, q.
  std::vector<double>& state(int index, int which) { return state_[which][index]; }

  // The share of samples whose largest logit (the first, if several) is the label's.
  double Accuracy(const Dataset& data, const Recipe& recipe);

 private:
  void Run(const TrainingOp& op, double step_size);
  void RunForward(const TrainingOp& op);
  double KeptScale(int layer, size_t value) const;
  void RunElements(const TrainingOp& op);
  void RunElementsBackward(const TrainingOp& op);
  // Channels of each pixel of a layer's input: the place of the first, of what lies behind the
  // last, and the step from one to the next.
  void ForPixels(const TrainingOp& op,
                 const std::function<void(int64_t, int64_t, int64_t)>& visit) const;
  void RunSoftmax(const TrainingOp& op);
  void RunSoftmaxBackward(const TrainingOp& op);
  void RunProduct(const TrainingOp& op);
  void RunSum(const TrainingOp& op);
  void RunCopy(const TrainingOp& op);
  void RunArrange(const TrainingOp& op);
  void ForGroups(const TrainingLayer& layer,
                 const std::function<void(const std::vector<int64_t>&)>& visit) const;
  void RunNormalise(const TrainingOp& op);
  void RunNormaliseBackward(const TrainingOp& op, double step_size);
  void RunRecurrent(const TrainingOp& op);
  void RunRecurrentBackward(const TrainingOp& op);
  void RunPool(const TrainingOp& op);
  void RunLoss(const TrainingOp& op);
  void RunMeanSquare(const TrainingOp& op);
  void RunBackward(const TrainingOp& op);
  void RunPoolBackward(const TrainingOp& op);
  void RunUpdate(const TrainingOp& op, double step_size);
  // One step of the optimiser on a parameter.
  void Optimise(int tensor, const std::vector<double>& gradient, double step_size);
  void Mask(const TrainingOp& op);

  const TrainingGraph& graph_;
  const uint64_t seed_;
  bool trains_ = true;                      // else it infers
  std::map<int, std::vector<bool>> masks_;  // of a dropout (layer)
  OptimiserConstants of_weights_, of_biases_;
  std::vector<std::vector<double>> values_;
  // Of a recurrent layer [sample][step]: gates after their function, then the state c, or of GRU
  // the part of n that comes from h'.
  std::map<int, std::vector<double>> cells_;
  std::array<std::vector<std::vector<double>>, 2> state_;  // [which][tensor]
};

struct ReferenceRun {
  std::vector<double> loss;  // mean over the batch, per step
  double test_accuracy = 0;
};

// A whole training by the recipe: starting weights, data order and step sizes as everywhere.
ReferenceRun TrainReference(const TrainingGraph& graph, const Recipe& recipe,
                            const TrainTest& data);
// From other starting weights, one vector per tensor.
ReferenceRun TrainReference(const TrainingGraph& graph, const Recipe& recipe, const TrainTest& data,
                            const std::vector<std::vector<float>>& parameters);

}  // namespace vaultrain

#endif  // VAULTRAIN_REFERENCE_H_
