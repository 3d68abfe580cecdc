// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What the shape rules of the operator table are made of, and the rules that stand in files of
// their own. Each rule sets the shape of a node's outputs and brings the node into the form that
// graph.h describes; it throws Error naming the node if the inputs do not fit.

#ifndef VAULTRAIN_NETWORK_SHAPE_RULES_H_
#define VAULTRAIN_NETWORK_SHAPE_RULES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vaultrain/graph.h"

namespace vaultrain {

// ---- inputs

bool HasInput(const Node& node, size_t position);
const Tensor& Input(const Graph& graph, const Node& node, size_t position);

// Data of any element type, with the batch wherever the file has it.
const Tensor& AnyData(const Graph& graph, const Node& node, size_t position);
// Float data, with the batch wherever the file has it.
const Tensor& FloatData(const Graph& graph, const Node& node, size_t position);
// Float data that has the batch first in the file too.
const Tensor& DataInput(const Graph& graph, const Node& node, size_t position);
const Tensor& ParameterInput(const Graph& graph, const Node& node, size_t position);
// A parameter of one shape; what names it in the message.
const Tensor& ParameterOfShape(const Graph& graph, const Node& node, size_t position,
                               const char* what, const std::vector<int64_t>& shape);
// A constant with one dimension, or none, of integers.
const std::vector<int64_t>& ConstantInts(const Graph& graph, const Node& node, size_t position);

// Refuses inputs but the first in a file before the opset that introduced them.
void RefuseInputsBefore(const Graph& graph, const Node& node, int64_t opset);

// ---- the file's view of a tensor, with the batch at batch_axis

std::vector<int64_t> FileShape(const Tensor& tensor);
// An axis of the file, negative ones counted from the end, as 0 to rank - 1.
int64_t FileAxis(const Graph& graph, const Node& node, int64_t axis, size_t rank);
// The same as an axis of the graph's shape; refuses the batch.
int64_t GraphAxis(const Graph& graph, const Node& node, const Tensor& tensor, int64_t axis);
// Where the graph has what the file has at an axis, with the batch at batch_axis.
int64_t BehindBatch(int64_t file_axis, int64_t batch_axis);

// The perm of a Transpose as the file means it.
std::vector<int64_t> PermOf(const Graph& graph, const Node& node, size_t rank);

// ---- outputs

// Of output 0: shape as in the graph, and where the file has the batch.
void SetShape(Graph& graph, const Node& node, std::vector<int64_t> shape, int64_t batch_axis = 0);
// Of any output, and nothing if it is left out.
void SetShapeOf(Graph& graph, const Node& node, size_t output, std::vector<int64_t> shape,
                int64_t batch_axis);

// ---- rules

// Those that move values and compute nothing (arrangement.cpp).
void InferFlatten(Graph& graph, Node& node);
void InferReshape(Graph& graph, Node& node);
void InferConcat(Graph& graph, Node& node);
void InferSlice(Graph& graph, Node& node);
void InferSplit(Graph& graph, Node& node);
void InferTranspose(Graph& graph, Node& node);
void InferSqueeze(Graph& graph, Node& node);
void InferUnsqueeze(Graph& graph, Node& node);
void InferGather(Graph& graph, Node& node);

// recurrence.cpp
void InferRecurrent(Graph& graph, Node& node);

}  // namespace vaultrain

#endif  // VAULTRAIN_NETWORK_SHAPE_RULES_H_
