// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The window that a convolution or pooling node moves over its input.

#ifndef VAULTRAIN_NETWORK_IMAGE_WINDOW_H_
#define VAULTRAIN_NETWORK_IMAGE_WINDOW_H_

#include "vaultrain/graph.h"
#include "vaultrain/training_graph.h"

namespace vaultrain {

struct ImageWindow {
  Image from, to;  // a line [N,C,W] is an image of height 1; `to` of a Conv has its channels
  Window window;
  // ceil_mode gave a last window that reaches behind image and pads. The window's padding covers it
  // here, but ONNX does not count it as padding.
  bool hangs_over = false;
};

// Of a Conv, MaxPool, AveragePool, GlobalMaxPool or GlobalAveragePool whose inputs have shapes.
// Throws Error naming the node if kernel, strides, pads, dilations or auto_pad do not fit the
// input.
//
// With ceil_mode, a window that would start behind the image and its pads is left out, as later
// opsets say.
ImageWindow WindowOf(const Graph& graph, const Node& node);

// The number of taps inside the image, over all positions of the window.
struct TapCount {
  int64_t all = 0;
  bool some_see_nothing = false;  // a position with no tap inside
};
TapCount CountTaps(const Image& from, const Image& to, const Window& window);

// The taps of one position on one axis that are inside, [first, last).
struct TapRange {
  int64_t first, last;
};
TapRange TapsInside(int64_t position, int64_t size, int64_t kernel, int64_t stride,
                    int64_t dilation, int64_t pad);

}  // namespace vaultrain

#endif  // VAULTRAIN_NETWORK_IMAGE_WINDOW_H_
