// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The typed graph of a network as read from ONNX.
//
// The graph is general: nodes in topological order over tensors with static shapes, apart from the
// batch dimension. Which operators it may hold stands in one table (Operators); what can be trained
// is decided later, by Differentiate (training_graph.h).
//
// Conventions on the ONNX file:
//  - One graph input is the data: the only one without an initialiser or, where several have none,
//    the only one whose first dimension is symbolic. Its first dimension is the batch, whatever
//    number the file gives it.
//  - Parameters are initialisers (then starting weights), or graph inputs of static shape without
//    one (then the recipe's initialisation gives the starting weights).
//  - One graph output.

#ifndef VAULTRAIN_GRAPH_H_
#define VAULTRAIN_GRAPH_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vaultrain {

// The batch dimension in a shape; only ever the first of data tensors.
inline constexpr int64_t kBatchDim = -1;

// Elements that one parameter, or one sample of one activation, may have at most.
inline constexpr int64_t kMaxElements = int64_t{1} << 28;

enum class ElementType { kFloat, kInt64 };

struct Tensor {
  std::string name;  // as in the file
  ElementType type = ElementType::kFloat;
  std::vector<int64_t> shape;
  bool is_parameter = false;   // initialiser, constant, or graph input other than the data
  std::vector<float> values;   // kFloat: initialiser in row-major order, or empty
  std::vector<int64_t> ints;   // kInt64: the same
  int producer = -1;           // node, or -1
  std::vector<int> consumers;  // nodes, one entry per use

  bool is_data() const { return !shape.empty() && shape[0] == kBatchDim; }
};

enum class OperatorKind {
  kGemm,
  kMatMul,
  kConv,
  kMaxPool,
  kAveragePool,
  kGlobalMaxPool,
  kGlobalAveragePool,
  kAdd,
  kMul,
  kRelu,
  kLeakyRelu,
  kSigmoid,
  kTanh,
  kIdentity,
  kFlatten,
  kReshape,
  kSoftmax
};

using Attribute = std::variant<int64_t, float, std::vector<int64_t>, std::string>;

struct Node {
  std::string name;  // as in the file, or OPERATOR_INDEX
  OperatorKind kind = OperatorKind::kIdentity;
  std::vector<int> inputs;                      // tensors; -1 for an optional one left out
  std::vector<int> outputs;                     // tensors
  std::map<std::string, Attribute> attributes;  // every attribute of the operator, with defaults

  int64_t Int(const std::string& attribute) const {
    return std::get<int64_t>(attributes.at(attribute));
  }
  const std::vector<int64_t>& Ints(const std::string& attribute) const {
    return std::get<std::vector<int64_t>>(attributes.at(attribute));
  }
  const std::string& Text(const std::string& attribute) const {
    return std::get<std::string>(attributes.at(attribute));
  }
};

struct Graph {
  std::string file;  // for messages
  std::vector<Tensor> tensors;
  std::vector<Node> nodes;  // topological order
  int input = -1;           // tensor
  int output = -1;          // tensor
  int64_t file_batch = 0;   // batch that the file names; 0 if symbolic
};

// ---- the operator table

// The opsets of the default ONNX domain that are read.
inline constexpr int kMinOpset = 7;
inline constexpr int kMaxOpset = 17;

struct AttributeRule {
  std::string_view name;
  Attribute default_value;  // an empty list stands for the operator's own default
  double min = 0, max = 0;  // accepted numbers, inclusive; of a list, each
  std::vector<std::string_view> choices = {};  // accepted strings
  int since = kMinOpset;                       // opset
};

struct Operator {
  std::string_view name;  // in ONNX, default domain
  OperatorKind kind;
  int min_inputs, max_inputs;
  std::vector<AttributeRule> attributes;
  // Sets the shape of the outputs from the inputs; throws Error naming the node if they do not fit.
  void (*infer)(Graph& graph, const Node& node);
};

const std::vector<Operator>& Operators();
const Operator& OperatorOf(OperatorKind kind);

// "FILE: node 'fc1' (Gemm)", the head of every message about a node.
std::string NodeText(const Graph& graph, const Node& node);

// ---- reading

// Throws Error(kUnusableInput) with one line that names the file, the node or tensor, the rule and
// what is accepted.
Graph ReadOnnx(const std::filesystem::path& path);

// The same from bytes; file is for messages.
Graph ParseOnnx(std::string_view bytes, const std::string& file);

// "[N,784]".
std::string ShapeText(const std::vector<int64_t>& shape);
// Product of all dimensions but the batch.
int64_t Elements(const std::vector<int64_t>& shape);

}  // namespace vaultrain

#endif  // VAULTRAIN_GRAPH_H_
