// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The networks that come with Vaultrain, and finding them.
//
// Shipped ONNX files hold no weights: the parameters are graph inputs without initialisers, so the
// recipe's initialisation and seed give the starting weights. They are written by
// MakeShippedNetworks (target make_networks) and committed.

#ifndef VAULTRAIN_NETWORKS_H_
#define VAULTRAIN_NETWORKS_H_

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vaultrain {

// Names of the networks (NAME.onnx) in the search directories, sorted, each once.
std::vector<std::string> ListNetworks(const std::vector<std::filesystem::path>& search_dirs);

// The ONNX file of a shipped name, or the path of an ONNX file itself. Throws Error(kUnusableInput)
// with the nearest shipped name if there is neither.
std::filesystem::path FindNetwork(std::string_view name_or_path,
                                  const std::vector<std::filesystem::path>& search_dirs);

struct NetworkFile {
  std::string name;   // "mlp.onnx"
  std::string bytes;  // the same on every machine
};

// Every shipped ONNX file, made anew.
std::vector<NetworkFile> MakeShippedNetworks();

// ONNX of a chain of Gemm (transB = 1, bias) with ReLU between them. widths: features, hidden
// layers, classes. Batch dimension "N"; parameters "fc1.W" [out][in] and "fc1.b" as graph inputs.
std::string MakeFullyConnected(const std::string& name, const std::vector<int>& widths);

// ONNX of a chain of Conv with square windows, each with ReLU and, where pool is above 1, MaxPool
// of windows side by side, then of Gemm as above. shape: of a sample, [channels][height][width];
// widths: hidden layers, classes.
struct ConvShape {
  int out = 1, kernel = 1, stride = 1, pad = 0, pool = 1, groups = 1;
};
std::string MakeConvolutional(const std::string& name, const std::vector<int>& shape,
                              const std::vector<ConvShape>& convs, const std::vector<int>& widths);

// ONNX of two convolutions of 3 x 3 with group normalisation, the second with a way around it, the
// mean of all pixels and a Gemm.
std::string MakeResidual(const std::string& name, const std::vector<int>& shape, int channels,
                         int groups, int classes);

// ONNX of a convolution of 3 x 3 whose output is split in three, a, b and c of so many channels
// each: max(a - tanh b, 0) / sigmoid c with a quarter left out, the mean of all pixels and a Gemm.
std::string MakeGated(const std::string& name, const std::vector<int>& shape, int channels,
                      int classes);

// ONNX of two convolutions with batch normalisation, the mean and a Gemm.
std::string MakeBatchNormalised(const std::string& name, const std::vector<int>& shape,
                                int channels, int classes);

// ONNX of a cell over sequences [steps][in] and a Gemm of its last state. cell: "LSTM", "RNN",
// "GRU" with linear_before_reset = 1 or "reset GRU" with 0.
std::string MakeSequential(const std::string& name, const std::string& cell, int steps, int in,
                           int hidden, int classes);

// The same with a layer normalisation of each step, and a Gemm of all of them.
std::string MakeNormalisedSteps(const std::string& name, const std::string& cell, int steps, int in,
                                int hidden, int classes);

// ONNX of classes [steps] (INT64), each of which is a row of a table [vocabulary][values], an LSTM
// over them and a Gemm of its last state.
std::string MakeTokens(const std::string& name, int steps, int vocabulary, int values, int hidden,
                       int classes);

}  // namespace vaultrain

#endif  // VAULTRAIN_NETWORKS_H_
