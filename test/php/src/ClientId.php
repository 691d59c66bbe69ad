<?php

declare(strict_types=1);

namespace Peer;

/** Client ids: the hex of the gateway's LAN address, its LAN port and the connection's number. */
final class ClientId
{
    public static function of(int $localIp, int $localPort, int $connectionId): string
    {
        return bin2hex(pack('NnN', $localIp, $localPort, $connectionId));
    }

    /** The id of a connection of the gateway at "IP:PORT". */
    public static function at(string $address, int $connectionId): string
    {
        [$ip, $port] = explode(':', $address);
        return self::of(ip2long($ip), (int) $port, $connectionId);
    }

    /**
     * The gateway's "IP:PORT" and the connection's number, or null if it is no client id.
     *
     * @return ?array{string, int}
     */
    public static function parse(string $clientId): ?array
    {
        if (strlen($clientId) !== 20 || !ctype_xdigit($clientId)) {
            return null;
        }
        $parts = unpack('Nip/nport/NconnectionId', hex2bin($clientId));
        return [long2ip($parts['ip']) . ':' . $parts['port'], $parts['connectionId']];
    }
}
