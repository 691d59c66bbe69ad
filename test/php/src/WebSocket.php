<?php

declare(strict_types=1);

namespace Peer;

/** The server's side of RFC 6455, without extensions. */
final class WebSocket
{
    public const TEXT = 1;
    public const CLOSE = 8;
    public const PING = 9;
    public const PONG = 10;
    private const CONTINUATION = 0;
    private const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

    /** The message of which some fragments have come. */
    private ?string $fragments = null;

    /**
     * Takes the handshake off the buffer: null if more is needed.
     *
     * @return ?array{get: array, server: array<string, ?string>, cookie: array} as onWebSocketConnect is told it
     * @throws \UnexpectedValueException if it is none
     */
    public static function takeHandshake(string &$buffer): ?array
    {
        [$head, $rest] = explode("\r\n\r\n", $buffer, 2) + [1 => null];
        if ($rest === null) {
            return null;
        }
        $buffer = $rest;
        $lines = explode("\r\n", $head);
        if (!preg_match('~^(GET) (\S+) (HTTP/1\.1)$~', array_shift($lines), $request)) {
            throw new \UnexpectedValueException('not a GET of HTTP/1.1');
        }
        $server = [
            'QUERY_STRING' => (string) parse_url($request[2], PHP_URL_QUERY),
            'REQUEST_METHOD' => $request[1],
            'REQUEST_URI' => $request[2],
            'SERVER_PROTOCOL' => $request[3],
        ];
        foreach ($lines as $line) {
            [$name, $value] = explode(':', $line, 2) + [1 => ''];
            $server['HTTP_' . strtoupper(strtr($name, '-', '_'))] = trim($value);
        }
        if (!isset($server['HTTP_SEC_WEBSOCKET_KEY'])) {
            throw new \UnexpectedValueException('no WebSocket handshake');
        }
        $server['CONTENT_TYPE'] = $server['HTTP_CONTENT_TYPE'] ?? null;
        $server['SERVER_NAME'] = explode(':', $server['HTTP_HOST'] ?? '')[0];
        parse_str($server['QUERY_STRING'], $get);
        $cookie = [];
        foreach (explode(';', $server['HTTP_COOKIE'] ?? '') as $pair) {
            [$name, $value] = explode('=', $pair, 2) + [1 => null];
            if ($value !== null) {
                $cookie[trim($name)] = $value;
            }
        }
        return ['get' => $get, 'server' => $server, 'cookie' => $cookie];
    }

    /** The answer to a handshake. */
    public static function accept(array $handshake): string
    {
        $key = $handshake['server']['HTTP_SEC_WEBSOCKET_KEY'];
        return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            . base64_encode(sha1($key . self::ACCEPT_SUFFIX, true)) . "\r\n\r\n";
    }

    public static function encode(int $opcode, string $payload): string
    {
        $length = strlen($payload);
        $header = match (true) {
            $length < 126 => pack('C', $length),
            $length < 65536 => pack('Cn', 126, $length),
            default => pack('CJ', 127, $length),
        };
        return chr(0x80 | $opcode) . $header . $payload;
    }

    /**
     * Takes off the buffer what is complete.
     *
     * @return list<array{int, string}> opcode and payload of whole messages and control frames
     * @throws \UnexpectedValueException if the client breaks the protocol
     */
    public function takeFrom(string &$buffer): array
    {
        $messages = [];
        while (($frame = self::takeFrame($buffer)) !== null) {
            [$isFinal, $opcode, $payload] = $frame;
            if ($opcode >= self::CLOSE) {
                $messages[] = [$opcode, $payload];
                continue;
            }
            if (($opcode === self::CONTINUATION) !== ($this->fragments !== null)) {
                throw new \UnexpectedValueException('fragments in disorder');
            }
            $this->fragments .= $payload;
            if ($isFinal) {
                $messages[] = [self::TEXT, $this->fragments];
                $this->fragments = null;
            }
        }
        return $messages;
    }

    /** @return ?array{bool, int, string} */
    private static function takeFrame(string &$buffer): ?array
    {
        if (strlen($buffer) < 2) {
            return null;
        }
        [$first, $second] = [ord($buffer[0]), ord($buffer[1])];
        if (($second & 0x80) === 0 || ($first & 0x70) !== 0) {
            throw new \UnexpectedValueException('a frame without a mask, or with an extension');
        }
        [$format, $at] = match ($second & 0x7f) {
            126 => ['n', 4],
            127 => ['J', 10],
            default => [null, 2],
        };
        if (strlen($buffer) < $at + 4) {
            return null;
        }
        $length = $format === null ? $second & 0x7f : unpack($format, $buffer, 2)[1];
        if (strlen($buffer) < $at + 4 + $length) {
            return null;
        }
        $mask = substr($buffer, $at, 4);
        $payload = substr($buffer, $at + 4, $length) ^ str_pad('', $length, $mask);
        $buffer = substr($buffer, $at + 4 + $length);
        return [($first & 0x80) !== 0, $first & 0x0f, $payload];
    }
}
