#include "node/bftctl_database.hpp"

#include <fstream>

namespace bft::node {

Result<database::ConnectOptions> connect_options_of(const DatabaseConfig& config) {
    database::ConnectOptions options;
    options.socket = config.socket.string();
    options.host = config.host;
    options.port = config.port;
    options.user = config.user;
    options.database = config.name;
    options.server = config.flavour == Flavour::mysql ? database::Server::mysql_8
                                                      : database::Server::mariadb_10_11;
    if (config.password_file.empty()) return options;
    std::ifstream in(config.password_file);
    if (!std::getline(in, options.password))
        return error(Errc::not_found,
                     "cannot read the database's password from " + config.password_file.string());
    return options;
}

}  // namespace bft::node
