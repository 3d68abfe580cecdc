// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The mean square as the loss, as the mapper maps it, on the golden machine beside the reference.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "unit/mapped_network.h"
#include "unit/onnx_builder.h"
#include "vaultrain/error.h"
#include "vaultrain/networks.h"

namespace vaultrain {
namespace {

Mapped MapMeanSquare(const std::string& onnx, int batch, const std::vector<std::string>& overrides,
                     const MapOptions& options = {}) {
  Recipe recipe = DefaultRecipe();
  recipe.loss = "mse";
  return MapGraph(ParseOnnx(onnx, "net"), batch, overrides, options, recipe);
}

void ExpectFormatsTrain(const std::string& onnx, int batch, std::vector<std::string> overrides = {},
                        const MapOptions& options = {}) {
  {
    SCOPED_TRACE("bf16");
    ExpectTrainsLikeReference(MapMeanSquare(onnx, batch, overrides, options), 2, 0.1, 1e-3);
  }
  {
    SCOPED_TRACE("fx16");
    std::vector<std::string> fixed = overrides;
    fixed.insert(fixed.end(), {"operand_format=fx16", "fraction_bits=12"});
    ExpectTrainsLikeReference(MapMeanSquare(onnx, batch, fixed, options), 2, 0.1, 2e-2);
  }
  {
    SCOPED_TRACE("gradients of fx32");
    ExpectTrainsLikeReference(MapMeanSquare(onnx, batch, WithFx32Gradients(overrides), options), 2,
                              0.05, 1e-3);
  }
  SCOPED_TRACE("fp32");
  overrides.insert(overrides.end(), {"operand_format=fp32", "array.lanes=8"});
  ExpectTrainsLikeReference(MapMeanSquare(onnx, batch, overrides, options), 3, 1e-5);
}

// One output, a ragged number of them, more than a word; batches that fill no job of the lanes.
TEST(MeanSquare, ChainsTrainLikeTheReference) {
  ExpectFormatsTrain(MakeFullyConnected("net", {20, 24, 1}), 5);
  ExpectFormatsTrain(MakeFullyConnected("net", {20, 24, 10}), 16);
  ExpectFormatsTrain(MakeFullyConnected("net", {20, 35}), 37);
  // More outputs than the softmax takes, more samples than fit at once.
  ExpectFormatsTrain(MakeFullyConnected("net", {6, 300}), 40, {"scratchpad.kib=64"});
}

TEST(MeanSquare, ConvolutionsAndCells) {
  ExpectFormatsTrain(MakeConvolutional("net", {2, 9, 7}, {{12, 3, 2, 1}}, {6}), 21);
  ExpectFormatsTrain(MakeSequential("net", "LSTM", 3, 9, 32, 6), 16);
}

TEST(MeanSquare, OverSeveralNodes) {
  const std::string net = MakeFullyConnected("net", {96, 128, 64, 10});
  for (const Partition partition : {Partition::kBatch, Partition::kOutputs, Partition::kHybrid}) {
    SCOPED_TRACE(PartitionName(partition));
    ExpectFormatsTrain(net, 32, Mesh(2, 2), {.partition = partition});
  }
  ExpectFormatsTrain(MakeConvolutional("net", {2, 9, 7}, {{12, 3, 2, 1}}, {6}), 34, Mesh(2, 1));
}

TEST(MeanSquare, TakesNoSoftmax) {
  OnnxBuilder b;
  b.Input("x", {0, 6}).Input("w", {6, 3}).Node("MatMul", "fc", {"x", "w"}, "z");
  b.Node("Softmax", "p", {"z"}, "y").Output("y", {0, 3});
  const Graph graph = ParseOnnx(b.Bytes(), "net");
  EXPECT_EQ(Differentiate(graph, 4).classes, 3);
  try {
    Differentiate(graph, 4, Loss::kMeanSquare);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("under loss = \"mse\""));
  }
}

// Gradients that operands with 6 bits below the point lose, all but a few, and halves of fx32 have:
// those of the mean square over 2,000 outputs, and what they become further back.
void ExpectGradientsBelowAnOperandTrain(const std::string& onnx, int batch,
                                        const std::vector<std::string>& overrides = {},
                                        const MapOptions& options = {}) {
  std::vector<std::string> narrow = overrides;
  narrow.insert(narrow.end(), {"operand_format=fx16", "fraction_bits=6", "scratchpad.kib=512"});
  std::vector<std::string> wide = narrow;
  wide.insert(wide.end(), {"gradient_format=fx32", "array.align_bits=43"});
  const Mapped lost = MapMeanSquare(onnx, batch, narrow, options);
  const std::unique_ptr<Device> device = MakeGoldenDevice(lost.variant, lost.dram);
  device->Load(lost.program.image);
  Random random(7, "mapper");
  TrainStep(lost, DrawStep(lost, 1, random), 0, StepSize(lost.recipe, 0, 1), *device);
  for (const TrainingTensor& tensor : lost.graph.tensors) {
    if (tensor.kind != TensorKind::kGradient) continue;
    const std::vector<float> values = Gather(TensorOf(lost.program, tensor.name), *device);
    ASSERT_LE(1000 * (values.size() -
                      static_cast<size_t>(std::count(values.begin(), values.end(), 0.0F))),
              values.size())
        << tensor.name;
  }
  ExpectTrainsLikeReference(MapMeanSquare(onnx, batch, wide, options), 1, 0.25, 1e-5);
}

TEST(MeanSquare, GradientsBelowTheLastBitOfAnOperand) {
  const std::string chain = MakeFullyConnected("net", {20, 64, 2000});
  {
    SCOPED_TRACE("chain");
    ExpectGradientsBelowAnOperandTrain(chain, 16);
  }
  for (const Partition partition : {Partition::kBatch, Partition::kOutputs, Partition::kHybrid}) {
    SCOPED_TRACE(PartitionName(partition));
    ExpectGradientsBelowAnOperandTrain(chain, 32, Mesh(2, 2), {.partition = partition});
  }
  {
    SCOPED_TRACE("convolutions");
    const std::string net =
        MakeConvolutional("net", {2, 5, 4}, {{12, 3, 1, 1}, {6, 3, 2, 1}}, {2000});
    ExpectGradientsBelowAnOperandTrain(net, 16);
    ExpectGradientsBelowAnOperandTrain(net, 34, Mesh(2, 1));
  }
  for (const char* cell : {"RNN", "LSTM", "GRU"}) {
    SCOPED_TRACE(cell);
    ExpectGradientsBelowAnOperandTrain(MakeSequential("net", cell, 3, 9, 32, 2000), 16);
  }
}

}  // namespace
}  // namespace vaultrain
