// What a connection runs on: TCP, or TLS over it.
#pragma once

#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include <type_traits>

namespace bft::http {

using Plain = boost::beast::tcp_stream;
using Secure = boost::beast::ssl_stream<boost::beast::tcp_stream>;

template <class S>
inline constexpr bool is_secure = std::is_same_v<S, Secure>;

}  // namespace bft::http
