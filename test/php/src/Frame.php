<?php

declare(strict_types=1);

namespace Peer;

/** One frame of wire.md section 2. */
final class Frame
{
    private const HEADER_BYTES = 28;
    private const MAX_BYTES = 10 * 1024 * 1024;
    private const SCALAR = 1;
    private const RAW = 2;

    public function __construct(
        public readonly int $command,
        public readonly int $connectionId = 0,
        public readonly string $ext = '',
        /** Scalars travel as their text, everything else in the format of serialize(). */
        public readonly mixed $body = '',
        /** Do not frame the body for the client. */
        public readonly bool $raw = false,
        public readonly int $localIp = 0,
        public readonly int $localPort = 0,
        public readonly int $clientIp = 0,
        public readonly int $clientPort = 0,
        public readonly int $gatewayPort = 0,
    ) {
    }

    public function encode(): string
    {
        $isScalar = is_scalar($this->body);
        $body = $isScalar ? (string) $this->body : serialize($this->body);
        $header = pack(
            'NCNnNnNCnN',
            self::HEADER_BYTES + strlen($this->ext) + strlen($body),
            $this->command,
            $this->localIp,
            $this->localPort,
            $this->clientIp,
            $this->clientPort,
            $this->connectionId,
            ($isScalar ? self::SCALAR : 0) | ($this->raw ? self::RAW : 0),
            $this->gatewayPort,
            strlen($this->ext),
        );
        return $header . $this->ext . $body;
    }

    /**
     * Takes the frames off the buffer that are complete.
     *
     * @return list<self>
     * @throws \UnexpectedValueException if the stream cannot be followed any further
     */
    public static function takeFrom(string &$buffer): array
    {
        $frames = [];
        $at = 0;
        while (strlen($buffer) - $at >= 4) {
            $length = unpack('N', $buffer, $at)[1];
            if ($length < self::HEADER_BYTES || $length > self::MAX_BYTES) {
                throw new \UnexpectedValueException("a frame of $length bytes");
            }
            if (strlen($buffer) - $at < $length) {
                break;
            }
            $frames[] = self::decode(substr($buffer, $at, $length));
            $at += $length;
        }
        $buffer = substr($buffer, $at);
        return $frames;
    }

    private static function decode(string $bytes): self
    {
        $header = unpack(
            'Nlength/Ccommand/NlocalIp/nlocalPort/NclientIp/nclientPort/NconnectionId/Cflag/ngatewayPort/NextLength',
            $bytes,
        );
        $body = substr($bytes, self::HEADER_BYTES + $header['extLength']);
        return new self(
            command: $header['command'],
            connectionId: $header['connectionId'],
            ext: substr($bytes, self::HEADER_BYTES, $header['extLength']),
            body: $header['flag'] & self::SCALAR ? $body : unserialize($body),
            raw: (bool) ($header['flag'] & self::RAW),
            localIp: $header['localIp'],
            localPort: $header['localPort'],
            clientIp: $header['clientIp'],
            clientPort: $header['clientPort'],
            gatewayPort: $header['gatewayPort'],
        );
    }
}
