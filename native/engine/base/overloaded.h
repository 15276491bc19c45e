// One visitor out of several lambdas, for std::visit over a closed set.
#pragma once

namespace nexus {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
// Implied in C++20 (P1816), and not yet by clang 14.
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace nexus
