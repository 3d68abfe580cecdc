// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Trained parameters, back in the ONNX graph that they belong to: the same nodes, names and
// layouts, with other values.

#ifndef VAULTRAIN_ONNX_EXPORT_H_
#define VAULTRAIN_ONNX_EXPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "vaultrain/training_graph.h"

namespace vaultrain {

class OnnxExport {
 public:
  // Of an ONNX file that Differentiate takes at this batch; file is for messages. Throws
  // Error(kUnusableInput) if two parameters have values from one place of an initialiser.
  OnnxExport(std::string bytes, const std::string& file, int64_t batch,
             Loss loss = Loss::kSoftmaxCrossEntropy);

  // The file with new values: of each parameter of the training graph by its name ("fc1.W"), in the
  // training graph's layout. A parameter that was a graph input alone gets an initialiser. Throws
  // Error(kInternal) if one is missing or has another size.
  std::string With(const std::map<std::string, std::vector<float>>& parameters) const;

 private:
  struct Source {
    std::string name;               // where the file holds it
    std::vector<uint32_t> element;  // there, of each value of the training graph's tensor
  };

  std::string bytes_;
  std::map<std::string, Source> sources_;  // of each parameter of the training graph
};

}  // namespace vaultrain

#endif  // VAULTRAIN_ONNX_EXPORT_H_
