<?php

declare(strict_types=1);

namespace Peer;

/** A stream_select loop with timers; SIGTERM and SIGINT end it. */
final class Loop
{
    /** A signal that comes right before the select is seen when that returns. */
    private const LONGEST_WAIT_SECONDS = 0.2;

    /** @var array<int, array{resource, \Closure}> */
    private array $readers = [];
    /** @var array<int, array{resource, \Closure}> */
    private array $writers = [];
    /** @var array<int, array{float, \Closure}> */
    private array $timers = [];
    private int $timerId = 0;
    private bool $isRunning = true;

    public function __construct()
    {
        pcntl_async_signals(true);
        foreach ([SIGTERM, SIGINT] as $signal) {
            pcntl_signal($signal, function (): void {
                $this->isRunning = false;
            });
        }
    }

    /** @param resource $stream */
    public function onReadable($stream, \Closure $callback): void
    {
        $this->readers[(int) $stream] = [$stream, $callback];
    }

    /** @param resource $stream */
    public function onWritable($stream, \Closure $callback): void
    {
        $this->writers[(int) $stream] = [$stream, $callback];
    }

    /** @param resource $stream */
    public function forgetWritable($stream): void
    {
        unset($this->writers[(int) $stream]);
    }

    /** @param resource $stream */
    public function forget($stream): void
    {
        unset($this->readers[(int) $stream], $this->writers[(int) $stream]);
    }

    /** Returns what `cancel` takes. */
    public function after(float $seconds, \Closure $callback): int
    {
        $this->timers[++$this->timerId] = [microtime(true) + $seconds, $callback];
        return $this->timerId;
    }

    public function cancel(int $timer): void
    {
        unset($this->timers[$timer]);
    }

    /** Returns after a signal. */
    public function run(): void
    {
        while ($this->isRunning) {
            $this->select();
            $now = microtime(true);
            foreach ($this->timers as $id => [$at, $callback]) {
                if ($at <= $now) {
                    unset($this->timers[$id]);
                    $callback();
                }
            }
        }
    }

    private function select(): void
    {
        $wait = self::LONGEST_WAIT_SECONDS;
        foreach ($this->timers as [$at]) {
            $wait = min($wait, max(0.0, $at - microtime(true)));
        }
        $readable = array_column($this->readers, 0);
        $writable = array_column($this->writers, 0);
        if ($readable === [] && $writable === []) {
            usleep((int) ($wait * 1e6));
            return;
        }
        $except = null;
        // A signal interrupts it with a warning.
        if (!@stream_select($readable, $writable, $except, 0, (int) ceil($wait * 1e6))) {
            return;
        }
        foreach ($writable as $stream) {
            // An earlier callback may have closed it.
            if (isset($this->writers[(int) $stream])) {
                $this->writers[(int) $stream][1]();
            }
        }
        foreach ($readable as $stream) {
            if (isset($this->readers[(int) $stream])) {
                $this->readers[(int) $stream][1]();
            }
        }
    }
}
