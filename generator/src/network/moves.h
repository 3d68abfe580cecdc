// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Nodes that only bring values to other places, as the values of a network have it.

#ifndef VAULTRAIN_NETWORK_MOVES_H_
#define VAULTRAIN_NETWORK_MOVES_H_

#include "network/values.h"

namespace vaultrain {

// Channels move behind the pixels, or before them; all else is brought to other places.
void Transpose(Values& values, const Node& node);

// Pixels are left out by the windows of the next layer, channels by a layer that copies the others;
// all else is brought to other places.
void Slice(Values& values, const Node& node);

// Parts that follow each other, each as a Slice.
void Split(Values& values, const Node& node);

// Places of an activation, which a Gather lists.
void GatherPlaces(Values& values, const Node& node);

// Whether a Concat puts channels of equal images side by side.
bool JoinsChannels(const Values& values, const Node& node);

// What a Concat makes.
Values::Row Joined(const Values& values, const Node& node);

// An input as often as the shape of the output has it.
Value Broadcast(Values& values, const Node& node, int position, const Image& image,
                bool channels_last);

}  // namespace vaultrain

#endif  // VAULTRAIN_NETWORK_MOVES_H_
