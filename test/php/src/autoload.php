<?php

declare(strict_types=1);

// Peer\Frame is src/Frame.php.
spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Peer\\')) {
        require __DIR__ . '/' . substr($class, strlen('Peer\\')) . '.php';
    }
});
