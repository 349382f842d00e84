{# The errors of a day, provider, model and operation type are as many by their classes as by workspace. #}
{%- set days = days_to_check() %}
{%- set grain = ['operation_date', 'provider', 'model', 'operation_type'] %}

with by_class as (

    select
        {{ surrogate_key(grain) }} as group_id,
        operation_date,
        model,
        sum(error_count) as error_count,
        min(group_operation_count) as least_operation_count,
        max(group_operation_count) as greatest_operation_count,
        sum(error_rate) as error_rate
    from {{ ref('fct_daily_errors') }}
    where {{ falls_on(days) }}
    group by {{ grain | join(', ') }}

),

by_workspace as (

    select
        {{ surrogate_key(grain) }} as group_id,
        operation_date,
        model,
        sum(error_count) as error_count,
        sum(operation_count) as operation_count,
        cast(sum(error_count) as double precision) / sum(operation_count - unknown_status_count) as error_rate
    from {{ ref('fct_daily_latency') }}
    where {{ falls_on(days) }}
    group by {{ grain | join(', ') }}
    having sum(error_count) > 0

)

select
    coalesce(by_class.operation_date, by_workspace.operation_date) as operation_date,
    coalesce(by_class.model, by_workspace.model) as model,
    by_class.error_count as error_count_by_class,
    by_workspace.error_count as error_count_by_workspace
from by_class
full outer join by_workspace
    on by_class.group_id = by_workspace.group_id
where
    by_class.error_count is distinct from by_workspace.error_count
    or by_class.least_operation_count is distinct from by_workspace.operation_count
    or by_class.greatest_operation_count is distinct from by_workspace.operation_count
    or abs(by_class.error_rate - by_workspace.error_rate) > 0.000000001
