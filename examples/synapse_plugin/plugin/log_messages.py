"""What the plugin says to users, in their language."""

from synapse_sdk.plugins.log_messages import LogMessageCode, register_log_messages
from synapse_sdk.plugins.models.logger import LogLevel


class ObstacleLogMessageCode(LogMessageCode):
    TRAINING = ("OBSTACLE_TRAINING", LogLevel.INFO)
    TRAINED = ("OBSTACLE_TRAINED", LogLevel.SUCCESS)
    DISCARDED = ("OBSTACLE_DISCARDED", LogLevel.WARNING)


register_log_messages(
    {
        ObstacleLogMessageCode.TRAINING: {
            "en": "Training on {points} points for {epochs} epochs",
            "ko": "점 {points}개로 {epochs} 에포크 학습을 시작합니다",
        },
        ObstacleLogMessageCode.TRAINED: {
            "en": "Recognised {accuracy:.1%} of {points} points that it had never seen",
            "ko": "처음 보는 점 {points}개 중 {accuracy:.1%}를 인식했습니다",
        },
        ObstacleLogMessageCode.DISCARDED: {
            "en": "Rolled back: discarded the weights of {epochs} epochs",
            "ko": "되돌리기: {epochs} 에포크의 가중치를 버렸습니다",
        },
    }
)
